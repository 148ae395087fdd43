"""What was denied is sealed an hour later: from then on nobody changes it unseen."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub import clock
from hub.audit.actors import seal_and_forget
from hub.audit.forget_denials import forget_denials
from hub.audit.queries import signed_under
from hub.audit.record_denials import Denied, record_denials
from hub.audit.seal import Seal, read_line, seal
from hub.audit.verify import Verified
from hub.audit.verify_denials import verify_denials
from hub.crypto.keyring import Keyring, Purpose
from hub.errors import Malformed
from hub.jobs.runtime import Runtime

KEYRING = Keyring.generate()
START = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROWS = 4


async def deny(db: AsyncConnection, subject: str, at: datetime) -> None:
    denials = [
        Denied(operation="other", path=path, reason="forbidden", asked="business")
        for path in ("disputes", "journals")
    ]
    await record_denials(db, denials=denials, subject=subject, role="business", at=at)


async def sealed(db: AsyncConnection, hours: float, *, ring: Keyring = KEYRING) -> Seal | None:
    return await seal(db, keyring=ring, keep_months=12, now=START + timedelta(hours=hours))


@pytest.fixture
async def two(db: AsyncConnection) -> AsyncConnection:
    """Two sealed hours of two denials each, a third that is open; the guards are off."""
    for hour in range(3):
        await deny(db, f"business:b{hour}", START + timedelta(hours=hour))
        if hour:
            await sealed(db, hour + 0.5)
    await db.execute(text("ALTER TABLE denial DISABLE TRIGGER ALL"))
    await db.execute(text("ALTER TABLE denial_seal DISABLE TRIGGER ALL"))
    assert await verify_denials(db, keyring=KEYRING) == Verified(ROWS)
    return db


CHANGES = {
    "minute": "minute + interval '1 minute'",
    "times": "times + 1",
    "role": "'staff'",
    "subject": "'business:b9'",
    "operation": "'http'",
    "path": "'rewards'",
    "reason": "'hidden'",
    "asked": "''",
    "denial_id": "OVERRIDE",
}


@pytest.mark.parametrize("column", CHANGES)
async def test_any_changed_column_of_a_denial_is_found(two: AsyncConnection, column: str) -> None:
    which = "WHERE subject = 'business:b1' AND path = 'disputes'"
    change = f"UPDATE denial SET {column} = {CHANGES[column]} {which}"
    if column == "denial_id":
        change = f"""WITH gone AS (DELETE FROM denial {which} RETURNING *)
          INSERT INTO denial OVERRIDING SYSTEM VALUE SELECT 77, minute, times, role, subject,
          operation, path, reason, asked FROM gone"""
    await two.execute(text(change))
    assert (await verify_denials(two, keyring=KEYRING)).seq == 2


async def test_every_column_is_covered(db: AsyncConnection) -> None:
    names = await db.scalars(
        text("""
          SELECT attname FROM pg_attribute
          WHERE attrelid = 'denial'::regclass AND attnum > 0 AND NOT attisdropped""")
    )
    assert set(names) == set(CHANGES)


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("DELETE FROM denial WHERE subject = 'business:b0' AND path = 'disputes'", 1),
        ("DELETE FROM denial WHERE subject = 'business:b1'", 2),
        ("DELETE FROM denial_seal WHERE seq = 1", 1),
        ("UPDATE denial_seal SET denials = 1 WHERE seq = 2", 2),
        ("UPDATE denial_seal SET forgotten_until = until WHERE seq = 2", 2),
        ("UPDATE denial_seal SET hash = sha256(hash) WHERE seq = 1", 1),
        ("UPDATE denial_seal SET sealed_at = sealed_at + interval '1 second' WHERE seq = 1", 1),
    ],
)
async def test_what_is_taken_away_or_made_up_is_found(
    two: AsyncConnection, change: str, first: int
) -> None:
    await two.execute(text(change))
    assert (await verify_denials(two, keyring=KEYRING)).seq == first


async def test_an_end_that_was_cut_off_is_found_by_what_was_kept_elsewhere(
    two: AsyncConnection,
) -> None:
    last = await sealed(two, 4)
    assert last is not None
    kept = dict([read_line(last.line())])
    assert await verify_denials(two, keyring=KEYRING, kept=kept) == Verified(ROWS + 2)
    for cut in ("DELETE FROM denial_seal WHERE seq = 3", "DELETE FROM denial WHERE denial_id > 4"):
        await two.execute(text(cut))
    assert await verify_denials(two, keyring=KEYRING) == Verified(ROWS)
    told = await verify_denials(two, keyring=KEYRING, kept=kept)
    assert (told.seq, told.wrong) == (3, "the seal is missing: there were 3")
    # Sealed anew without them, it is another seal.
    await sealed(two, 4.5)
    assert (await verify_denials(two, keyring=KEYRING, kept=kept)).seq == 3
    with pytest.raises(Malformed):
        read_line("denials 2026-11-01T12:00 3 xyz")


async def test_a_renewed_key_seals_on_and_the_old_one_is_needed(two: AsyncConnection) -> None:
    renewed = KEYRING.renewed(Purpose.AUDIT)
    await sealed(two, 4, ring=renewed)
    assert await verify_denials(two, keyring=renewed) == Verified(ROWS + 2)
    assert "not in the keyring" in str((await verify_denials(two, keyring=KEYRING)).wrong)
    assert await signed_under(two) == {1: 2, 2: 1}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE denial SET times = 1",
        "DELETE FROM denial",
        "TRUNCATE denial",
        "UPDATE denial_seal SET denials = 0",
        "DELETE FROM denial_seal",
    ],
)
async def test_the_database_lets_nobody_touch_what_is_sealed(
    db: AsyncConnection, change: str
) -> None:
    await deny(db, "business:b1", START)
    assert await sealed(db, 2) is not None
    assert await sealed(db, 2) is None
    with pytest.raises(DBAPIError):
        async with db.begin_nested():
            await db.execute(text(change))
    with pytest.raises(DBAPIError, match="is sealed"):
        async with db.begin_nested():
            await deny(db, "business:b1", START)
    await deny(db, "business:b1", START + timedelta(hours=2))


async def test_after_its_months_a_denial_is_forgotten_and_the_seals_still_prove_the_rest(
    db: AsyncConnection,
) -> None:
    await deny(db, "business:b0", START)
    await sealed(db, 2)
    await deny(db, "business:b1", START + timedelta(days=300))
    await sealed(db, 24 * 301)
    assert await forget_denials(db) == 0
    last = await sealed(db, 24 * 400)
    assert last is not None
    assert last.forgotten_until == START + timedelta(hours=1)
    assert await verify_denials(db, keyring=KEYRING) == Verified(ROWS)
    assert [await forget_denials(db, chunk=1) for _ in range(3)] == [1, 1, 0]
    assert await verify_denials(db, keyring=KEYRING) == Verified(ROWS)
    rows = await db.scalars(text("SELECT DISTINCT subject FROM denial"))
    assert list(rows) == ["business:b1"]
    await db.execute(text("ALTER TABLE denial DISABLE TRIGGER ALL"))
    await db.execute(text("DELETE FROM denial"))
    assert (await verify_denials(db, keyring=KEYRING)).seq == 2


async def test_the_schedule_seals_and_forgets_and_finds_nothing_to_do_again(
    engine: AsyncEngine,
) -> None:
    runtime, at = Runtime(engine=engine, keyring=KEYRING), clock.now()
    async with engine.begin() as db:
        await deny(db, "business:old", at - timedelta(days=80))
        early = at - timedelta(days=70)
        await seal(db, keyring=KEYRING, keep_months=1, now=early)
        await deny(db, "business:new", at - timedelta(hours=2))
    for _ in range(2):
        await seal_and_forget(runtime, keep_months=1)
        async with engine.begin() as db:
            kept = await db.scalars(text("SELECT DISTINCT subject FROM denial"))
            assert kept.all() == ["business:new"]
            assert (await db.scalar(text("SELECT count(*) FROM denial_seal"))) == 2
            assert await verify_denials(db, keyring=KEYRING) == Verified(ROWS)
