"""The ladder: up at once, down only by refunds, and a history that is never rewritten."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.configure import configure
from hub.benefits.entitlements.queries import entitlements
from hub.benefits.tiers.promote import promote
from hub.benefits.tiers.standings import standings
from tests.support.benefits import LADDER, SPRING, ZONE, make_ladder, qualify, refund, tier
from tests.support.settlement import noon

JULY, NEXT_YEAR = noon(date(2026, 7, 1)), noon(date(2027, 1, 20))


async def _moves(db: AsyncConnection, members: list[int], at: datetime) -> list[tuple[object, ...]]:
    found = await promote(db, member_ids=members, now=at, time_zone=ZONE)
    return [(p.member_id, p.from_tier, p.to_tier, p.qualifying) for p in found]


async def _history(db: AsyncConnection, member_id: int) -> list[tuple[str, str, bool]]:
    rows = await db.execute(
        text("""
          SELECT code, reason, until IS NULL AS open FROM member_tier JOIN tier USING (tier_id)
          WHERE member_id = :m ORDER BY step"""),
        {"m": member_id},
    )
    return [(row.code, row.reason, row.open) for row in rows]


async def test_a_set_of_members_moves_to_what_each_has_reached(db: AsyncConnection) -> None:
    await make_ladder(db)
    await qualify(db, 1, 999, SPRING, key="a")
    await qualify(db, 2, 1000, SPRING, key="b")
    await qualify(db, 3, 1500, SPRING, key="c")
    await qualify(db, 3, 600, SPRING, key="d")
    assert await _moves(db, [3, 2, 1, 3], SPRING) == [
        (1, None, "iron", 999),
        (2, None, "bronze", 1000),
        (3, None, "silver", 2100),
    ]
    assert await _moves(db, [1, 2, 3], SPRING) == []
    await qualify(db, 1, 1, SPRING, key="e")
    assert await _moves(db, [1], SPRING) == [(1, "iron", "bronze", 1000)]
    assert await _history(db, 1) == [("iron", "reached", False), ("bronze", "reached", True)]


async def test_who_stays_on_their_rung_costs_two_statements(db: AsyncConnection) -> None:
    await make_ladder(db)
    await qualify(db, 1, 1200, SPRING, key="a")
    assert await _moves(db, [1], SPRING) == [(1, None, "bronze", 1200)]
    await qualify(db, 1, 100, SPRING, key="b")
    sent: list[str] = []
    event.listen(
        db.engine.sync_engine, "before_cursor_execute", lambda *facts: sent.append(facts[2])
    )
    assert await _moves(db, [1], SPRING) == []
    assert len(sent) == 2
    # What they were planned with is as it was before.
    assert await db.scalar(text("SHOW enable_nestloop")) == "on"
    assert await db.scalar(text("SHOW plan_cache_mode")) == "auto"


async def test_a_refund_takes_the_tier_and_its_benefits_away_again(db: AsyncConnection) -> None:
    await make_ladder(db)
    sale = await qualify(db, 1, 2500, SPRING, key="a")
    await _moves(db, [1], SPRING)
    await refund(db, 1, sale, 600, JULY, key="b")
    assert await _moves(db, [1], JULY) == [(1, "silver", "bronze", 1900)]
    assert len((await entitlements(db, member_ids=[1], now=JULY))[1]) == 1
    await refund(db, 1, sale, 1900, JULY, key="c")
    assert await _moves(db, [1], JULY) == [(1, "bronze", "iron", 0)]
    assert await entitlements(db, member_ids=[1], now=JULY) == {1: []}
    assert [(code, why) for code, why, _ in await _history(db, 1)] == [
        ("silver", "reached"),
        ("bronze", "taken_back"),
        ("iron", "taken_back"),
    ]


async def test_what_was_held_when_the_year_began_is_kept_for_the_year(db: AsyncConnection) -> None:
    await make_ladder(db)
    sale = await qualify(db, 1, 1200, SPRING, key="a")
    await _moves(db, [1], SPRING)
    assert await _moves(db, [1], NEXT_YEAR) == []
    await refund(db, 1, sale, 1200, NEXT_YEAR, key="b")
    this_year = await qualify(db, 1, 2000, NEXT_YEAR, key="c")
    assert await _moves(db, [1], NEXT_YEAR) == [(1, "bronze", "silver", 2000)]
    later = NEXT_YEAR + timedelta(days=1)
    await refund(db, 1, this_year, 2000, later, key="d")
    assert await _moves(db, [1], later) == [(1, "silver", "bronze", 0)]


async def test_dearer_terms_take_nothing_from_anybody(db: AsyncConnection) -> None:
    await make_ladder(db)
    sale = await qualify(db, 1, 1200, SPRING, key="a")
    await _moves(db, [1], SPRING)
    dearer = [tier("bronze", "铜", 20, 1800, JULY), tier("silver", "银", 30, 3000, JULY)]
    await configure(db, tiers=[*LADDER, *dearer], benefits=[])
    await qualify(db, 2, 1200, SPRING, key="b")
    assert await _moves(db, [1, 2], JULY) == [(2, None, "iron", 1200)]
    await refund(db, 1, sale, 300, JULY, key="c")
    assert await _moves(db, [1], JULY) == [(1, "bronze", "iron", 900)]


@pytest.mark.parametrize(
    ("now", "qualifying"),
    [
        (datetime(2026, 12, 31, 15, 59, tzinfo=UTC), 1000),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), 0),
    ],
)
async def test_the_year_is_that_of_the_groups_own_calendar(
    db: AsyncConnection, now: datetime, qualifying: int
) -> None:
    await make_ladder(db)
    await qualify(db, 1, 1000, SPRING, key="a")
    found = (await standings(db, member_ids=[1], now=now, time_zone=ZONE))[1]
    assert found.qualifying == qualifying
    assert found.by == date(2026 if qualifying else 2027, 12, 31)


async def test_a_member_sees_what_is_missing_and_by_when(db: AsyncConnection) -> None:
    await make_ladder(db)
    await qualify(db, 1, 1350, SPRING, key="a")
    await qualify(db, 2, 5000, SPRING, key="b")
    await _moves(db, [1, 2], SPRING)
    found = await standings(db, member_ids=[1, 2, 3], now=JULY, time_zone=ZONE)
    one, top, none = found[1], found[2], found[3]
    assert (one.code, one.name, one.name_zh, one.since) == ("bronze", "Bronze", "铜", SPRING)
    assert (one.next_code, one.next_name_zh, one.missing) == ("silver", "银", 650)
    assert one.by == date(2026, 12, 31)
    assert (top.code, top.next_code, top.missing, top.qualifying) == ("silver", None, None, 5000)
    assert (none.code, none.next_code, none.missing) == (None, "iron", 0)


async def test_a_replayed_promotion_at_the_same_instant_keeps_its_order(
    db: AsyncConnection,
) -> None:
    await make_ladder(db)
    for key in ("a", "b"):
        await qualify(db, 1, 1000, SPRING, key=key)
        await _moves(db, [1], SPRING)
    assert await _history(db, 1) == [("bronze", "reached", False), ("silver", "reached", True)]


async def test_sixteen_promotions_at_once_move_a_member_once(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await make_ladder(db)
        await qualify(db, 1, 2000, SPRING, key="a")

    async def one() -> int:
        async with engine.begin() as db:
            return len(await _moves(db, [3, 1, 2], SPRING))

    moved = await asyncio.gather(*(one() for _ in range(16)))
    assert sorted(moved) == [0] * 15 + [3]
    async with engine.begin() as db:
        assert await _history(db, 1) == [("silver", "reached", True)]


async def test_earning_at_once_in_many_transactions_ends_on_the_right_rung(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as db:
        await make_ladder(db)

    async def one(n: int) -> None:
        async with engine.begin() as db:
            await qualify(db, 1, 200, SPRING, key=f"sale-{n}")
            await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)

    await asyncio.gather(*(one(n) for n in range(12)))
    async with engine.begin() as db:
        assert [code for code, _, _ in await _history(db, 1)] == ["iron", "bronze", "silver"]


@pytest.mark.parametrize(
    "rewriting",
    [
        "UPDATE member_tier SET tier_id = 1",
        "UPDATE member_tier SET since = since - interval '1 day'",
        "DELETE FROM member_tier",
    ],
)
async def test_history_is_not_rewritten(db: AsyncConnection, rewriting: str) -> None:
    await make_ladder(db)
    await qualify(db, 1, 2000, SPRING, key="a")
    await _moves(db, [1], SPRING)
    with pytest.raises(IntegrityError, match=r"history|append-only"):
        await db.execute(text(rewriting))
