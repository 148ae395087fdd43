"""`POST /hooks/{connection}`: prove it, store it, acknowledge it; the work comes later."""

import asyncio

from prometheus_client import Counter
from redis.asyncio import Redis
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from hub.clock import now
from hub.connector import Answering, Inbound, Outcome, Reply, SignatureInvalid
from hub.crypto.keyring import Keyring
from hub.intake.accept import accept
from hub.intake.connections import Switchboard
from hub.jobs.wake import wake_relay

# Our systems wait for five seconds; giving up a stuck statement may take two of them.
PATIENCE_SECONDS = 2.5

DELIVERIES = Counter(
    "hub_deliveries_total", "Deliveries received, by outcome", ["connection", "outcome"]
)


class Door:
    """Receives deliveries for all connections of one process."""

    def __init__(self, engine: AsyncEngine, redis: Redis, keyring: Keyring) -> None:
        self._engine = engine
        self._redis = redis
        self._keyring = keyring
        self._switchboard = Switchboard(keyring)

    async def receive(self, code: str, inbound: Inbound) -> Response:
        """Answer one delivery in its system's own terms; raises NotFound for no such connection.

        Nothing is acknowledged before it is committed. A delivery that is not authentic leaves
        nothing but a count. While the database is away the sender is asked to come again; so it is
        by a TimeoutError when the database does not answer in time.
        """
        at = now()
        async with asyncio.timeout(PATIENCE_SECONDS), self._engine.connect() as db:
            wired = await self._switchboard.by_code(db, code, now=at)
            try:
                await accept(db, wired=wired, inbound=inbound, now=at, keyring=self._keyring)
                await db.commit()
                outcome = Outcome.ACCEPTED
            except SignatureInvalid:
                outcome = Outcome.SIGNATURE_INVALID
            except (DBAPIError, OSError):
                outcome = Outcome.UNAVAILABLE
        if outcome is Outcome.ACCEPTED:
            await wake_relay(self._redis)
        DELIVERIES.labels(code, outcome.value).inc()
        if isinstance(wired.connector, Answering):
            return _respond(wired.connector.answer(outcome, inbound))
        return _respond(wired.connector.acknowledge(outcome))


def _respond(reply: Reply) -> Response:
    return Response(reply.body, status_code=reply.status, headers=dict(reply.headers))
