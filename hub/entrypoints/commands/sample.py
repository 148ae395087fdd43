"""`hub sample load`: feed the sample group through the front door."""

import asyncio
from typing import Any

import typer
from rich.console import Console
from rich.progress import Progress
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.clock import now
from hub.config import Settings, load_settings
from hub.crypto.keyring import Keyring, ensure
from hub.db.engine import make_engine
from hub.entrypoints import sample
from hub.entrypoints.tills import Tills
from hub.errors import Unavailable

PATIENCE_SECONDS = 300


def load() -> None:
    """Load the sample group. A second time, and after an interruption, nothing comes twice."""
    settings = load_settings()
    asyncio.run(_load(settings, ensure(settings.keyring_path), Console()))


async def _load(settings: Settings, keyring: Keyring, console: Console) -> None:
    engine = make_engine(settings.require_database_url(), pool_size=2)
    sandbox = sample.Sandbox(settings.sandbox_url)
    try:
        async with engine.connect() as db:
            if await sample.is_loaded(db):
                typer.echo("the sample group is loaded already")
                return
        secrets = await sample.configure(settings, keyring, sandbox)
        world = await sandbox.summary()
        total = sum(world["deliveries"].values())
        with Progress(console=console, transient=True) as progress:
            playing = asyncio.create_task(sandbox.play(settings.base_url, secrets))
            await _finish(engine, playing, progress, total)
            tills = Tills(settings.base_url, keyring)
            spent = await tills.visit(await sandbox.phones(), progress)
        async with engine.begin() as db:
            await sample.account(db, now=now())
            await sample.stock_shelves(db, now=now())
            await sample.mark_loaded(db)
    finally:
        await engine.dispose()
    console.print(
        f"sample group: {world['people']} people, {total} deliveries from "
        f"{world['from']} to {world['until']}, {spent} redemptions",
        highlight=False,
    )


async def _finish(
    engine: AsyncEngine, playing: asyncio.Task[dict[str, Any]], progress: Progress, total: int
) -> None:
    """Wait until everything is sent and has been worked on; raises Unavailable with what is not."""
    task = progress.add_task("sales, stays and bills", total=total)
    for _ in range(PATIENCE_SECONDS * 5):
        await asyncio.sleep(0.2)
        done, pending = await sample.progress_of(engine)
        progress.update(task, completed=min(done, total))
        if playing.done() and pending == 0:
            break
    else:
        raise Unavailable(
            f"after {PATIENCE_SECONDS} s deliveries are still waiting: is `hub worker` running? "
            "Run `hub sample load` again when it is"
        )
    played = await playing
    if played["accepted"] != played["sent"]:
        raise Unavailable(
            f"the hub accepted {played['accepted']} of {played['sent']} deliveries "
            f"({played['last_refusal']}): run `hub sample load` again"
        )
