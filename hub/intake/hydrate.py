"""Hydrate: fetch the snapshots that thin events only point at.

It runs before the business transaction and holds no lock, and its patience ends before the
message's lease does: what a slow upstream has not answered by then is asked for later.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hub.connector import Hydrating, NotYet, SourceEvent
from hub.errors import HubError, Malformed
from hub.intake.client import Upstreams
from hub.intake.connections import Wired
from hub.intake.deliveries import Opened

PATIENCE_SECONDS = 15.0


class Hydrator:
    """Fetches the snapshots of deliveries, patiently but not for ever."""

    def __init__(self, upstreams: Upstreams, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._upstreams = upstreams

    async def hydrate(self, deliveries: Sequence[Opened]) -> None:
        """Complete the events of `deliveries` with their snapshots.

        What an upstream refuses for good becomes the delivery's verdict; where it must be asked
        again later, or has not answered after `patience_seconds`, the delivery is postponed.
        """
        await asyncio.gather(*(self._complete(d) for d in deliveries if d.verdict is None))

    async def _complete(self, delivery: Opened) -> None:
        try:
            async with asyncio.timeout(self._patience_seconds):
                events = [await self._complete_event(delivery, e) for e in delivery.events]
            delivery.events = events
        except TimeoutError:
            delivery.postponed = NotYet(f"{delivery.wired.code}'s upstream is slow to answer")
        except NotYet as wait:
            delivery.postponed = wait
        except HubError as said:
            delivery.verdict = said

    async def _complete_event(self, delivery: Opened, event: SourceEvent) -> SourceEvent:
        if event.snapshot is not None:
            return event
        place = f"{event.entity}:{event.entity_id}"
        if place not in delivery.snapshots:
            delivery.snapshots[place] = await self._fetch(delivery.wired, event)
            delivery.fetched = True
        return replace(event, snapshot=delivery.snapshots[place])

    async def _fetch(self, wired: Wired, event: SourceEvent) -> Any:
        dialect = wired.connector
        if not isinstance(dialect, Hydrating):
            raise Malformed(f"a {event.type} without its {event.entity}", field=event.entity)
        return await dialect.hydrate(self._upstreams.of(wired), event, wired.plug)


def serialise(snapshots: dict[str, Any]) -> bytes:
    """Write snapshots as JSON, exact decimals as text: no amount passes through a float."""
    return json.dumps(snapshots, default=str).encode()
