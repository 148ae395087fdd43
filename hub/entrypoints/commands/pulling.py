"""`hub intake check`, `backfill`, `streams` and `found`: what the hub asks systems for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from hub.clock import now
from hub.config import load_settings
from hub.connector import Checking
from hub.crypto.keyring import load
from hub.db.engine import make_engine
from hub.db.keyset import Stretch
from hub.entrypoints.commands.edge import only_read
from hub.entrypoints.commands.intake import utc
from hub.errors import Malformed
from hub.intake.client import Upstreams
from hub.intake.connections import Wired, wired_by_code
from hub.intake.found import found_facts
from hub.intake.pull_actors import Puller
from hub.intake.streams import backfill as begin_backfill
from hub.intake.streams import stream_page
from hub.jobs.runtime import Runtime

T = TypeVar("T")
Name = Annotated[str, typer.Argument(help="a connection's code")]
_MOST_STREAMS = 10_000


def check(connection: Name) -> None:
    """Ask a connection's system whom its credentials speak for."""

    async def ask(runtime: Runtime) -> str:
        wired = await _wired(runtime, connection)
        upstreams = Upstreams()
        try:
            if not isinstance(wired.connector, Checking):
                raise Malformed(
                    f"{wired.connector.spec.title} has nothing to check by", field="connection"
                )
            return await wired.connector.check(upstreams.of(wired), wired.plug)
        finally:
            await upstreams.aclose()

    typer.echo(_with_runtime(ask))


def backfill(
    connection: Name,
    since: Annotated[datetime, typer.Option(help="what changed since then (UTC)")],
) -> None:
    """Pull everything that a connection's system knows since then. Nothing is posted twice.

    Stopped in the middle it is gone on with by the workers, from the page that was stored last.
    """
    began = utc(since)
    if began is None or began > now():
        raise Malformed("a moment in the past was expected", field="since")

    async def pull(runtime: Runtime) -> int:
        wired = await _wired(runtime, connection)
        async with runtime.engine.begin() as db:
            streams = await begin_backfill(db, wired=wired, since=began, now=now())
        puller, pages = Puller(runtime), 0
        with Progress(SpinnerColumn(), TextColumn("{task.description}")) as progress:
            task = progress.add_task("pulling")
            for stream_id in streams:
                more = True
                while more:
                    pulled, more = await puller.pull(stream_id, at_most=1)
                    pages += pulled
                    progress.update(task, description=f"pages pulled: {pages}")
        await puller.aclose()
        return pages

    pages = _with_runtime(pull)
    typer.echo(f"pages pulled: {pages}; workers make of them what is new")
    streams()


def streams() -> None:
    """Show what is pulled, how far it is, and how many facts nobody had sent."""
    since = now() - timedelta(days=30)
    found = only_read(lambda db: stream_page(db, stretch=Stretch(_MOST_STREAMS), found_since=since))
    table = Table("connection", "stream", "pages", "found in 30 days", "last", "next", "problem")
    for one in found:
        table.add_row(
            one.connection,
            one.stream,
            str(one.pages),
            str(one.found),
            f"{one.ended_at:%Y-%m-%d %H:%M}" if one.ended_at else "not yet",
            f"{one.next_at:%Y-%m-%d %H:%M}",
            one.last_error,
        )
    Console().print(table)


def found(
    days: Annotated[int, typer.Option(min=1, max=3650, help="how far to look back")] = 7,
) -> None:
    """List the facts that only a pull told of: what webhooks had lost."""
    facts = only_read(lambda db: found_facts(db, since=now() - timedelta(days=days)))
    table = Table("found", "connection", "stream", "fact", "id")
    for one in facts:
        when = f"{one.found_at:%Y-%m-%d %H:%M}"
        table.add_row(when, one.connection, one.stream, one.kind, one.source_id)
    Console().print(table)


async def _wired(runtime: Runtime, code: str) -> Wired:
    async with runtime.engine.connect() as db:
        return await wired_by_code(db, code, keyring=runtime.keyring)


def _with_runtime(work: Callable[[Runtime], Awaitable[T]]) -> T:
    async def run() -> T:
        chosen = load_settings()
        engine = make_engine(chosen.require_database_url(), pool_size=2)
        try:
            return await work(Runtime(engine=engine, keyring=load(chosen.keyring_path)))
        finally:
            await engine.dispose()

    return asyncio.run(run())
