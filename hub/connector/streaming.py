"""Systems that send over a socket which the hub opens and keeps open.

The host speaks the public protocol (`graphql-transport-ws`, of the library graphql-ws) and keeps
the place; the connector says what to subscribe to, and where a message stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from hub.connector.plug import Connection, UpstreamClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What the host opens: `path` is below the connection's `config.base_url`.

    `hello` is the payload of `connection_init`, `asks` that of `subscribe`. The host pings every
    `ping_seconds`, leaves by itself before `lives_seconds` are over (the credentials' life), and
    stays away for `rests_seconds` before it subscribes again; `taken_seconds` where the stream has
    another consumer. `reasons` words close codes and HTTP statuses that trying again cannot help.
    """

    path: str
    hello: Mapping[str, Any]
    asks: Mapping[str, Any]
    ping_seconds: int = 15
    lives_seconds: int = 3600
    rests_seconds: int = 5
    taken_seconds: int = 60
    reasons: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message stands: `cursor` is what to go on from once it is safe; None: as before."""

    cursor: str | None
    dedup_id: str | None


@runtime_checkable
class Streaming(Protocol):
    """A connector whose system tells what happens over a socket; one consumer at a time.

    A message is kept raw like a delivery and read by `decode(body, None)`.
    """

    def listens(self, connection: Connection) -> bool:
        """Say whether this connection is configured to be listened to."""

    async def subscription(
        self, client: UpstreamClient, cursor: str | None, connection: Connection
    ) -> Subscription:
        """Say what to open, from `cursor` on; None: from what the system has yet to send.

        Raises NotYet, Malformed.
        """

    def place(self, body: bytes) -> Place:
        """Say where a message stands; one that makes no sense moves nothing. Raises nothing."""
