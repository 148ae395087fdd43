"""A match is killed, again and again, and two are started at once: every step is taken once."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.clock import now
from hub.crypto.keyring import Keyring, ensure
from hub.errors import Unavailable
from hub.intake.actors import match_all
from hub.ledger.verify import verify
from hub.members.batch.plan_matches import unfinished
from hub.members.resolve import resolve
from tests.support.businesses import open_businesses
from tests.support.matching import HOTEL, SHOP, people, sighting

PAIRS = 60
KILLS = 3
HUB = [sys.executable, "-m", "hub.entrypoints.cli", "identity", "match"]


async def pairs_of_accounts(engine: AsyncEngine, keyring: Keyring) -> None:
    """People who each have two members, until they are matched."""
    async with engine.begin() as db:
        await open_businesses(db, ["CN", "CN"])
    seen = [
        sighting(
            business_id,
            f"{business_id}-{n}",
            name=f"Person{chr(97 + n % 26)}{chr(97 + n // 26)} Surname{chr(97 + n % 7)}",
            birthday=f"19{50 + n % 40}-{n % 12 + 1:02}-{n % 28 + 1:02}",
            email_said=f"person.{n}@example.com",
        )
        for n in range(PAIRS)
        for business_id in (SHOP, HOTEL)
    ]
    async with engine.begin() as db:
        await resolve(db, people=seen, now=now(), keyring=keyring)


async def expected(engine: AsyncEngine) -> None:
    """Everybody is one member, by one edge, and the ledger stands."""
    async with engine.connect() as db:
        assert await people(db) == {frozenset({f"1-{n}", f"2-{n}"}) for n in range(PAIRS)}
        assert await db.scalar(text("SELECT count(*) FROM member_edge")) == PAIRS
        assert await db.scalar(text("SELECT count(*) FROM match_step WHERE outcome IS NULL")) == 0
        assert await unfinished(db) is None
        assert await verify(db) == []


async def taken(engine: AsyncEngine) -> int:
    async with engine.connect() as db:
        done = await db.scalar(text("SELECT count(*) FROM match_step WHERE done_at IS NOT NULL"))
        return int(done or 0)


async def test_a_match_that_is_killed_goes_on_and_takes_no_step_twice(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    keyring = ensure(tmp_path / "keyring.json")
    await pairs_of_accounts(engine, keyring)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "HUB_STATE_DIR": str(tmp_path),
        "HUB_KEYRING_FILE": str(tmp_path / "keyring.json"),
    }
    for _ in range(KILLS):
        before = await taken(engine)
        running = subprocess.Popen(HUB, env=environment, stdout=subprocess.DEVNULL)
        while await taken(engine) == before:
            assert running.poll() is None, "it had ended before it could be killed"
            await asyncio.sleep(0.002)
        running.kill()
        assert running.wait() != 0
    assert 0 < await taken(engine) < PAIRS
    last = subprocess.run(HUB, env=environment, capture_output=True, check=True, text=True)
    assert "0 merged" in last.stdout  # by the run of its own, after what was left over
    async with engine.connect() as db:
        merged = await db.scalars(text("SELECT merged FROM match_run ORDER BY run_id"))
        assert merged.all() == [PAIRS, 0]
    await expected(engine)


async def test_of_matches_at_once_one_plans_and_all_take_its_steps(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    keyring = ensure(tmp_path / "keyring.json")
    await pairs_of_accounts(engine, keyring)

    async def one() -> None:
        with suppress(Unavailable):  # while another one plans
            await match_all(engine, kind=None, keyring=keyring)

    await asyncio.gather(*(one() for _ in range(4)))
    await expected(engine)
