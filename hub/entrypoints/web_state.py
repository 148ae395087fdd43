"""What the web process holds while it serves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request

from graphql_schema.executing import HubSchema
from graphql_schema.schema import build_schema
from hub.callers.issuers import read_issuers
from hub.config import Settings
from hub.crypto.keyring import Keyring, load
from hub.db.engine import make_engine, make_readers
from hub.db.turns import Turns
from hub.entrypoints.calls import Desk
from hub.entrypoints.hooks import Door
from hub.entrypoints.web_allowance import Allowance
from hub.entrypoints.web_attempts import Attempts
from hub.entrypoints.web_callers import Callers
from hub.entrypoints.web_documents import Documents, read_documents
from hub.entrypoints.web_slow import listen
from hub.entrypoints.web_sockets import Sockets
from hub.entrypoints.web_streams import Streams
from hub.entrypoints.web_tills import TillDesk
from hub.entrypoints.web_traces import Traces
from hub.jobs.changes import Changes
from hub.jobs.client import make_client


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Settings, servers, keys and schema of one process."""

    settings: Settings
    engine: AsyncEngine
    readers: AsyncEngine
    redis: Redis
    keyring: Keyring
    schema: HubSchema
    door: Door
    desk: Desk
    tills: TillDesk
    documents: Documents
    allowance: Allowance
    attempts: Attempts
    callers: Callers
    sockets: Sockets
    traces: Traces
    turns: Turns
    """At the database, for plans."""


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[State]:
    """Hold the state for as long as the process serves.

    Nothing is connected to yet, so that a process may start before its servers do. Raises
    Unavailable when no server is known, Malformed for documents and issuers that do not fit, and
    what `hub.crypto.keyring.load` raises.
    """
    keyring = load(settings.keyring_path)
    schema = build_schema(debug=settings.log_level == "debug", introspection=settings.introspection)
    documents = read_documents(settings.documents, schema, only=settings.only_documents)
    engine = make_engine(settings.require_database_url(), pool_size=settings.pool_size)
    readers = make_readers(settings.require_database_url(), pool_size=settings.pool_size)
    few = max(settings.pool_size // 2, 1)
    turns = Turns(readers, most=few, keeps=few)
    listen(engine)
    listen(readers)
    redis = make_client(settings.require_redis_url(), socket_connect_timeout=2, socket_timeout=2)
    changes = Changes(
        make_client(
            settings.require_redis_url(), socket_connect_timeout=2, health_check_interval=10
        )
    )
    allowance = Allowance(redis, per_minute=settings.cost_per_minute)
    callers = Callers(engine, keyring, read_issuers(settings.oidc))
    streams = Streams(
        settings=settings,
        engine=engine,
        readers=readers,
        keyring=keyring,
        schema=schema,
        documents=documents,
        allowance=allowance,
        changes=changes,
    )
    traces = Traces()
    try:
        yield State(
            settings=settings,
            engine=engine,
            readers=readers,
            redis=redis,
            keyring=keyring,
            schema=schema,
            door=Door(engine, redis, keyring),
            desk=Desk(engine, keyring),
            tills=TillDesk(engine, keyring),
            documents=documents,
            allowance=allowance,
            attempts=Attempts(redis),
            callers=callers,
            sockets=Sockets(settings, callers, streams),
            traces=traces,
            turns=turns,
        )
    finally:
        await changes.aclose()
        await redis.aclose()
        turns.close()
        await readers.dispose()
        await engine.dispose()
        await asyncio.to_thread(traces.close)


def state_of(request: Request) -> State:
    """Return the state of the process that serves `request`."""
    state: State = request.app.state.hub
    return state
