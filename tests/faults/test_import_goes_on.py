"""An import of opening balances is killed, again and again: it goes on and posts nothing twice."""

import asyncio
import csv
import os
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.crypto.keyring import ensure
from hub.entrypoints.commands.opening import CHUNK, errors_of
from hub.ledger.verify import verify
from tests.support.settlement import make_group

KILLS = 3
HUB = [sys.executable, "-m", "hub.entrypoints.cli", "ledger", "import"]


def written(file: Path, rows: int) -> Path:
    lines = (f"retail,c-{n % 3000},{n % 90 if n % 100 else 'x'},0" for n in range(1, rows + 1))
    file.write_text("business,external_id,points,cost_rate\n" + "\n".join(lines) + "\n")
    return file


async def test_an_import_that_is_killed_goes_on_and_posts_nothing_twice(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    async with engine.begin() as db:
        await make_group(db, [])
    ensure(tmp_path / "keyring.json")
    rows = 2 * KILLS * CHUNK + 7  # one that is killed late may have done another chunk
    file = written(tmp_path / "opening.csv", rows)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "HUB_STATE_DIR": str(tmp_path),
        "HUB_KEYRING_FILE": str(tmp_path / "keyring.json"),
    }
    for _ in range(KILLS):
        before = await rows_done(engine)
        running = subprocess.Popen([*HUB, str(file)], env=environment, stdout=subprocess.DEVNULL)
        while await rows_done(engine) == before:
            assert running.poll() is None, "it had ended before it could be killed"
            await asyncio.sleep(0.01)
        time.sleep(0.1)  # into the next chunk
        running.kill()
        assert running.wait() != 0
    assert 0 < await rows_done(engine) < rows
    last = subprocess.run(
        [*HUB, str(file)], env=environment, stdout=subprocess.DEVNULL, check=False
    )
    assert last.returncode == 0
    good = [n % 90 for n in range(1, rows + 1) if n % 100 and n % 90]
    async with engine.connect() as db:
        posted = await db.execute(
            text("SELECT count(*), sum(points)::bigint FROM entry WHERE debit = 70")
        )
        assert tuple(posted.one()) == (len(good), sum(good))
        assert await verify(db) == []
    with errors_of(file).open(newline="") as errors:
        numbers = [int(bad["row"]) for bad in csv.DictReader(errors)]
    assert numbers == [n for n in range(1, rows + 1) if not (n % 100 and n % 90)]


async def rows_done(engine: AsyncEngine) -> int:
    async with engine.connect() as db:
        return await db.scalar(text("SELECT sum(rows_done)::bigint FROM opening_import")) or 0
