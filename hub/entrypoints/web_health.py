"""Probes: is the process alive, can it do its work, and what does it count?"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from threading import Event

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.db.bound import RowsUnprotected, refuse_bypass
from hub.db.migrate import current, head
from hub.entrypoints.web_state import State, state_of

PATIENCE_SECONDS = 2.0
leaving = Event()
"""Set once the process was told to stop: it serves on, and is to be sent nobody any more."""
_newest = cache(head)


async def healthz(_: Request) -> Response:
    """Say that the process answers. It asks nobody: a dead database is no reason to restart it."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Say whether requests can be served, and what is in the way; 503 when something is."""
    if leaving.is_set():
        return JSONResponse({"ready": False, "checks": {"process": "is about to stop"}}, 503)
    state = state_of(request)
    database, broker = await asyncio.gather(_ask(state, _database), _ask(state, _broker))
    ready = database is None and broker is None
    checks = {"database": database or "ok", "broker": broker or "ok"}
    return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)


async def metrics(_: Request) -> Response:
    """Return what Prometheus collects of this process."""
    return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})


async def _ask(state: State, check: Callable[[State], Awaitable[str | None]]) -> str | None:
    """Return what is wrong, or None. Addresses and passwords stay out of it."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await check(state)
    except TimeoutError:
        return f"no answer within {PATIENCE_SECONDS:g} seconds"
    except RowsUnprotected as refusal:
        return refusal.message
    except (SQLAlchemyError, RedisError, OSError) as error:
        return f"cannot be reached ({type(error).__name__})"


async def _database(state: State) -> str | None:
    async with state.engine.connect() as db:
        at = await current(db)
        await refuse_bypass(db)
    newest = await asyncio.to_thread(_newest)
    return None if at == newest else f"is at migration {at}, not {newest}: run `hub migrate`"


async def _broker(state: State) -> str | None:
    await state.redis.ping()
    return None
