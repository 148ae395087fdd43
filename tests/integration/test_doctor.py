"""What `hub doctor` finds, on installations that are well and that are not."""

from pathlib import Path

import pytest
import redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.config import Settings
from hub.crypto.keyring import ensure
from hub.db.migrate import head
from hub.entrypoints.checks import Finding, Verdict
from hub.entrypoints.commands.doctor import examine
from hub.members.resolve import Sighting, resolve
from tests.support.businesses import open_businesses
from tests.support.ledger import NOON


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    found = Settings(database_url=database_url, redis_url=redis_url, state_dir=tmp_path)
    ensure(found.keyring_path)
    return found


async def ailments(settings: Settings) -> list[Finding]:
    return [one async for one in examine(settings) if one.verdict is not Verdict.OK]


async def test_a_sound_installation_has_no_ailment(settings: Settings) -> None:
    assert await ailments(settings) == []


async def test_a_keyring_that_others_may_read_is_a_problem(settings: Settings) -> None:
    settings.keyring_path.chmod(0o644)
    found, consequence = await ailments(settings)
    assert found.verdict is Verdict.PROBLEM
    assert f"chmod 600 {settings.keyring_path}" in found.says
    assert consequence.verdict is Verdict.WARNING


async def test_another_databases_keyring_is_a_problem(
    settings: Settings, engine: AsyncEngine
) -> None:
    async with engine.begin() as db:
        await open_businesses(db, ["CN"])
        seen = Sighting(business_id=1, external_id="a", seen_at=NOON)
        await resolve(db, people=[seen], now=NOON, keyring=ensure(settings.keyring_path))
    assert await ailments(settings) == []
    settings.keyring_path.unlink()
    ensure(settings.keyring_path)
    [found] = await ailments(settings)
    assert found.verdict is Verdict.PROBLEM
    assert "keyring" in found.says


async def test_a_broker_that_evicts_is_a_problem(settings: Settings) -> None:
    with redis.from_url(settings.require_redis_url()) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            [found] = await ailments(settings)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert found.verdict is Verdict.PROBLEM
    assert "allkeys-lru" in found.says


async def test_a_broker_that_is_away_is_a_problem(settings: Settings) -> None:
    settings.redis_url = "redis://127.0.0.1:1/0"
    [found] = await ailments(settings)
    assert (found.verdict, "REDIS_URL" in found.way_out) == (Verdict.PROBLEM, True)


async def test_a_database_that_is_away_is_a_problem(settings: Settings) -> None:
    settings.database_url = "postgresql://postgres@127.0.0.1:1/hub"
    [found] = await ailments(settings)
    assert (found.verdict, "DATABASE_URL" in found.way_out) == (Verdict.PROBLEM, True)


async def test_an_empty_database_wants_migrating(
    settings: Settings, empty_database_url: str
) -> None:
    settings.database_url = empty_database_url
    [found] = await ailments(settings)
    assert found == Finding(
        Verdict.PROBLEM, f"the schema is at nothing, not at {head()}", "`hub migrate`"
    )


async def test_work_that_waits_and_work_that_failed_are_counted(
    settings: Settings, engine: AsyncEngine
) -> None:
    async with engine.begin() as db:
        await db.execute(
            text("""INSERT INTO outbox_message
                (actor, reference, available_at, dead_at, last_error, attempts)
              VALUES
              ('some.actor', 1, statement_timestamp() - interval '2 minutes', NULL, NULL, 0),
              ('some.actor', 2, statement_timestamp(), NULL, 'once', 1),
              ('some.actor', 3, statement_timestamp(), statement_timestamp(), 'no price', 1),
              ('other.actor', 4, statement_timestamp() + interval '1 hour', NULL, 'no sender', 3)
              """)
        )
    late, dead = await ailments(settings)
    assert late.verdict is Verdict.PROBLEM
    assert late.says == "messages that have waited for more than a minute: 1"
    assert (dead.verdict, dead.says) == (
        Verdict.WARNING,
        "work that failed (other.actor: no sender; some.actor: no price)",
    )


async def test_businesses_without_an_agreement_are_named(
    settings: Settings, engine: AsyncEngine
) -> None:
    async with engine.begin() as db:
        await db.execute(text("INSERT INTO legal_entity (code, name) VALUES ('one', 'One')"))
        await db.execute(
            text("""INSERT INTO business
                (code, name, kind, legal_entity_id, currency, country, time_zone)
              SELECT c, c, 'retail', legal_entity_id, 'CNY', 'CN', 'Asia/Shanghai'
              FROM legal_entity, unnest(ARRAY['inn', 'shop']) c""")
        )
        await db.execute(
            text("""INSERT INTO agreement (issuer_id, acceptor_id, effective_from, currency)
              SELECT i.business_id, a.business_id, DATE '2026-01-01', 'CNY'
              FROM business i, business a WHERE i.code = 'inn' AND a.code = 'shop'""")
        )
    [found] = await ailments(settings)
    assert found.verdict is Verdict.WARNING
    assert found.says == "no agreement (issuer → acceptor): shop → inn"


async def test_nothing_running_is_no_problem_but_is_said(tmp_path: Path) -> None:
    quiet = Settings(database_url=None, redis_url=None, state_dir=tmp_path / "new")
    assert {found.verdict for found in await ailments(quiet)} == {Verdict.WARNING}
