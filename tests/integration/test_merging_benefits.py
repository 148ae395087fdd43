"""Tiers and quotas through merges and splits."""

from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.queries import entitlements
from hub.benefits.tiers.promote import promote
from hub.benefits.tiers.standings import standings
from hub.benefits.use import UseOutcome, use
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from tests.support.benefits import SPRING, ZONE, make_ladder, qualify, refund
from tests.support.settlement import noon

JULY, AUGUST = noon(date(2026, 7, 1)), noon(date(2026, 8, 1))


async def _town(db: AsyncConnection) -> None:
    """Members 1 to 3 with an account each, of the same number; of 2 at the hotel, else retail."""
    ids = await make_ladder(db)
    await db.execute(
        text("""
          INSERT INTO account (account_id, business_id, external_id, created_at)
          OVERRIDING SYSTEM VALUE
          SELECT n, CASE n WHEN 2 THEN CAST(:hotel AS smallint) ELSE CAST(:shop AS smallint) END,
            'c-' || n, '2026-01-01Z' FROM generate_series(1, 3) n"""),
        {"hotel": ids["hotel"], "shop": ids["retail"]},
    )
    await db.execute(
        text("""
          INSERT INTO account_link (account_id, member_id, method, valid)
          SELECT account_id, account_id, 'birth', tstzrange('2026-01-01Z', NULL) FROM account""")
    )


async def _tiers(db: AsyncConnection) -> list[tuple[str | None, int]]:
    found = await standings(db, member_ids=[1, 2, 3], now=AUGUST, time_zone=ZONE)
    return [(found[n].code, found[n].qualifying) for n in (1, 2, 3)]


async def _left(db: AsyncConnection, member_id: int) -> list[int]:
    found = await entitlements(db, member_ids=[member_id], now=AUGUST)
    return [one.remaining for one in found[member_id]]


async def _merge(db: AsyncConnection, *member_ids: int) -> None:
    await merge_members(db, member_ids=member_ids, method="staff", actor="mei", now=JULY)


async def _split(db: AsyncConnection, account_id: int) -> None:
    await split_members(
        db, member_id=1, account_ids=[account_id], actor="mei", now=AUGUST, reason="two"
    )


async def test_points_together_reach_a_tier_that_goes_when_they_part(db: AsyncConnection) -> None:
    await _town(db)
    await qualify(db, 1, 1200, SPRING, key="a")
    sale = await qualify(db, 2, 900, SPRING, key="b")
    await promote(db, member_ids=[1, 2, 3], now=SPRING, time_zone=ZONE)
    await _merge(db, 1, 2)
    assert (await _tiers(db))[0] == ("silver", 2100)
    await qualify(db, 1, 50, JULY, key="c")
    await refund(db, 1, sale, 100, JULY, key="d")
    await db.execute(
        text("UPDATE ledger_transaction SET account_id = 2 WHERE idempotency_key = 'd'")
    )
    await _split(db, 2)
    tiers = await _tiers(db)
    assert [code for code, _ in tiers] == ["bronze", "iron", "iron"]
    assert sum(points for _, points in tiers) == 1200 + 900 + 50 - 100


async def test_the_best_tier_of_both_is_kept_and_given_back(db: AsyncConnection) -> None:
    await _town(db)
    await qualify(db, 3, 2500, SPRING, key="a")
    await promote(db, member_ids=[1, 2, 3], now=SPRING, time_zone=ZONE)
    await _merge(db, 1, 3)
    assert (await _tiers(db))[0] == ("silver", 2500)
    await _split(db, 3)
    assert await _tiers(db) == [("iron", 0), ("iron", 0), ("silver", 2500)]


async def test_one_person_has_one_quota(db: AsyncConnection) -> None:
    await _town(db)
    for member_id in (1, 2):
        await qualify(db, member_id, 1500, SPRING, key=str(member_id))
    await promote(db, member_ids=[1, 2], now=SPRING, time_zone=ZONE)
    business_id = await db.scalar(text("SELECT business_id FROM account WHERE account_id = 2"))
    asked = {"benefit_code": "late-checkout", "business_id": business_id, "now": JULY}
    await use(db, member_id=2, idempotency_key="one", **asked)
    await _merge(db, 1, 2)
    assert await _left(db, 1) == [1]
    again = await use(db, member_id=1, idempotency_key="one", **asked)
    assert again.replayed
    await use(db, member_id=1, idempotency_key="two", **asked)
    assert (await use(db, member_id=1, idempotency_key="three", **asked)).outcome is (
        UseOutcome.QUOTA_USED
    )
    await _split(db, 2)
    assert (await _left(db, 1), await _left(db, 2)) == ([2], [0])
