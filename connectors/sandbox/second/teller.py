"""What all systems of the second world have in common: they send, they answer, things change."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from starlette.routing import Route, WebSocketRoute

from connectors.sandbox.delivery import Delivery, identifier
from connectors.sandbox.second.plot import Plot
from connectors.sandbox.trouble import Troubles
from hub.clock import now


class Teller(ABC):
    """Tells the plot as one system does.

    `expected` counts the facts that must come of it, by their kind. `changed` says when each
    record last changed, by its id: APIs list by it.
    """

    system: ClassVar[str]

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.deliveries: list[Delivery] = []
        self.expected: Counter[str] = Counter()
        self.changed: dict[str, datetime] = {}
        self.tell()
        self.deliveries.sort(key=lambda one: one.sent_at)

    @abstractmethod
    def tell(self) -> None:
        """Fill `deliveries`, `expected` and `changed`."""

    def routes(self) -> Sequence[Route]:
        """Return what its API answers; a system that cannot be asked answers nothing."""
        return ()

    def sockets(self, troubles: Troubles) -> Sequence[WebSocketRoute]:
        """Return the streams it serves over sockets, with their trouble; most systems have none."""
        return ()

    def touch(self) -> None:
        """Let the record that has rested longest change now, so that lists by time shift."""
        if self.changed:
            longest = min(self.changed, key=self.changed.__getitem__)
            self.changed[longest] = now()

    def id(self, *parts: object) -> str:
        """Return an id that the world determines."""
        return identifier(self.plot.seed, self.system, *parts)

    def send(self, at: datetime, body: bytes, topic: str | None = None) -> None:
        """Put a delivery on the pile."""
        self.deliveries.append(
            Delivery(
                system=self.system,
                sent_at=at,
                body=body,
                topic=topic,
                transport_id=self.id("delivery", len(self.deliveries)),
            )
        )
