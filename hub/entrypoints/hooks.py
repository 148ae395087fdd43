"""`POST /hooks/{connection}`: prove it, store it, acknowledge it; the work comes later."""

from prometheus_client import Counter
from redis.asyncio import Redis
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from hub.clock import now
from hub.connector import Inbound, Outcome, Reply, Replying, SignatureInvalid
from hub.crypto.keyring import Keyring
from hub.entrypoints.patience import UNKNOWN_SECONDS, patience_seconds, within
from hub.intake.accept import accept
from hub.intake.connections import Switchboard, Wired
from hub.jobs.wake import Tap

DELIVERIES = Counter(
    "hub_deliveries_total", "Deliveries received, by outcome", ["connection", "outcome"]
)


class Door:
    """Receives deliveries for all connections of one process."""

    def __init__(self, engine: AsyncEngine, redis: Redis, keyring: Keyring) -> None:
        # What a delivery costs is one statement: a transaction around it would be two more.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._tap = Tap(redis)
        self._keyring = keyring
        self._switchboard = Switchboard(keyring)
        self._patience: dict[str, float] = {}

    async def receive(self, code: str, inbound: Inbound) -> Response:
        """Answer one delivery in its system's own terms; raises NotFound for no such connection.

        Nothing is acknowledged before it is committed. A delivery that is not authentic leaves
        nothing but a count. While the database is away the sender is asked to come again; so it is
        by a TimeoutError when the database does not answer in time.
        """
        patience = self._patience.get(code, UNKNOWN_SECONDS)
        wired, outcome = await within(patience, self._accept(code, inbound))
        self._patience[code] = patience_seconds(wired.connector)
        if outcome is Outcome.ACCEPTED:
            self._tap.wake_relay()
        DELIVERIES.labels(code, outcome.value).inc()
        if isinstance(wired.connector, Replying):
            return _respond(wired.connector.reply_to(outcome, inbound))
        return _respond(wired.connector.acknowledge(outcome))

    async def _accept(self, code: str, inbound: Inbound) -> tuple[Wired, Outcome]:
        at = now()
        async with self._engine.connect() as db:
            wired = await self._switchboard.by_code(db, code, now=at)
            try:
                await accept(db, wired=wired, inbound=inbound, now=at, keyring=self._keyring)
            except SignatureInvalid:
                return wired, Outcome.SIGNATURE_INVALID
            except (DBAPIError, OSError):
                return wired, Outcome.UNAVAILABLE
        return wired, Outcome.ACCEPTED


def _respond(reply: Reply) -> Response:
    return Response(reply.body, status_code=reply.status, headers=dict(reply.headers))
