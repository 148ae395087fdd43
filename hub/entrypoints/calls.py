"""`POST /serve/{connection}`: what a system asks while a guest waits, answered at once."""

import structlog
from prometheus_client import Counter
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from hub.clock import now
from hub.connector import Call, Inbound, Result, Serving
from hub.crypto.keyring import Keyring
from hub.entrypoints.patience import UNKNOWN_SECONDS, within
from hub.errors import HubError, NotFound, Unavailable
from hub.intake.connections import Switchboard, Wired
from hub.intake.serve import serve

# Guests wait: what a system allows for a call is five seconds at most.
PATIENCE_SECONDS = 2.5

CALLS = Counter("hub_calls_total", "Calls answered, by outcome", ["connection", "call", "outcome"])

log = structlog.get_logger(__name__)


class Desk:
    """Answers the calls of all connections of one process."""

    def __init__(self, engine: AsyncEngine, keyring: Keyring) -> None:
        self._engine = engine
        self._keyring = keyring
        self._switchboard = Switchboard(keyring)

    async def answer(self, code: str, inbound: Inbound) -> Response:
        """Answer one call in its system's own terms.

        Raises NotFound for no such connection, and for one that answers no calls. What is not done
        in time is not done at all, and its system is told so.
        """
        wired = await within(UNKNOWN_SECONDS, self._find(code))
        dialect = wired.connector
        if not isinstance(dialect, Serving):
            raise NotFound(f"connection {code!r} answers no calls", connection=code)
        call: Call | None = None
        result: Result | HubError
        try:
            call = dialect.read_call(inbound, wired.plug, now())
            result = await within(PATIENCE_SECONDS, self._do(wired, call))
        except HubError as said:
            result = said
        except (DBAPIError, OSError) as failure:  # a TimeoutError is an OSError
            log.warning("call_not_served", connection=code, error=type(failure).__name__)
            result = Unavailable("there was no answer in time")
        outcome = result.code if isinstance(result, HubError) else "answered"
        CALLS.labels(code, "unread" if call is None else type(call).__name__.lower(), outcome).inc()
        reply = dialect.answer_call(inbound, call, result, wired.plug)
        return Response(reply.body, status_code=reply.status, headers=dict(reply.headers))

    async def _find(self, code: str) -> Wired:
        async with self._engine.connect() as db:
            return await self._switchboard.by_code(db, code, now=now())

    async def _do(self, wired: Wired, call: Call) -> Result:
        async with self._engine.connect() as db:
            result = await serve(db, wired=wired, call=call, now=now(), keyring=self._keyring)
            await db.commit()
        return result
