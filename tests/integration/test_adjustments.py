"""Corrections by staff: few points alone, many with a second person, each once."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.errors import Conflict, Forbidden, HubError, Malformed, NotFound, Rejected
from hub.ledger.queries import balances, open_lots
from hub.ledger.verify import verify
from hub.points.approve_adjustment import approve_adjustment
from hub.points.propose_adjustment import propose_adjustment
from hub.points.reject_adjustment import reject_adjustment
from tests.support.ledger import NOON, TODAY, give
from tests.support.people import LI, WEI, a_group

WHEN: dict[str, Any] = {"business_date": TODAY, "today": TODAY, "now": NOON}
ASKED: dict[str, Any] = {
    **WHEN, "business_id": 1, "member_id": LI, "points": 100, "reason": "the till was down",
    "maker": "ann", "idempotency_key": "a",
}  # fmt: skip


@pytest.fixture
async def group(db: AsyncConnection) -> AsyncConnection:
    await a_group(db)
    return db


async def posted(db: AsyncConnection, member_id: int = LI) -> int:
    return (await balances(db, member_ids=[member_id], today=TODAY, now=NOON))[member_id].posted


async def test_few_points_are_posted_by_one_person_with_the_businesss_cost_and_last_day(
    group: AsyncConnection,
) -> None:
    done = await propose_adjustment(group, **ASKED)
    assert (done.state, done.checker, done.points) == ("posted", None, 100)
    assert done.cost_rate == Decimal("0.01")
    [lot] = (await open_lots(group, member_ids=[LI], limit=9))[LI]
    assert (lot.issuer_id, lot.account_id, lot.remaining) == (1, 71, 100)
    assert lot.expires_on == date(2028, 10, 31)
    assert await propose_adjustment(group, **ASKED) == done
    assert await posted(group) == 100
    reason = text("SELECT reason FROM ledger_transaction WHERE tx_id = :tx")
    assert await group.scalar(reason, {"tx": done.tx_id}) == "the till was down"
    assert await verify(group) == []


async def test_many_points_wait_for_somebody_else(group: AsyncConnection) -> None:
    waits = await propose_adjustment(group, **{**ASKED, "points": 101})
    assert (waits.state, await posted(group)) == ("proposed", 0)
    which = {"member_id": LI, "adjustment_id": waits.adjustment_id}
    with pytest.raises(Forbidden) as own:
        await approve_adjustment(group, **which, **WHEN, checker="ann")
    assert own.value.facts["field"] == "checker"
    assert await posted(group) == 0
    done = await approve_adjustment(group, **which, **WHEN, checker="bo")
    assert (done.state, done.checker, await posted(group)) == ("posted", "bo", 101)
    assert await approve_adjustment(group, **which, **WHEN, checker="cy") == done
    assert await propose_adjustment(group, **{**ASKED, "points": 101}) == done
    with pytest.raises(Rejected):
        await reject_adjustment(group, **which, checker="bo", reason="no", now=NOON)
    assert await posted(group) == 101
    assert await verify(group) == []


async def test_what_was_rejected_or_withdrawn_is_never_posted(group: AsyncConnection) -> None:
    for who in ("bo", "ann"):
        waits = await propose_adjustment(group, **{**ASKED, "points": -500, "idempotency_key": who})
        which = {"member_id": LI, "adjustment_id": waits.adjustment_id}
        no = await reject_adjustment(group, **which, checker=who, reason="no proof", now=NOON)
        assert (no.state, no.checker, no.verdict) == ("rejected", who, "no proof")
        assert await reject_adjustment(group, **which, checker="x", reason="y", now=NOON) == no
        with pytest.raises(Rejected) as said:
            await approve_adjustment(group, **which, **WHEN, checker="cy")
        assert said.value.facts["field"] == "adjustment_id"
    assert await posted(group) == 0


async def test_too_few_points_of_the_business_is_an_answer_that_is_kept(
    group: AsyncConnection,
) -> None:
    await give(group, LI, 30)
    await give(group, LI, 500, business_id=2)
    few = await propose_adjustment(group, **{**ASKED, "points": -31})
    assert (few.state, few.available) == ("declined", 30)
    await give(group, LI, 500)
    assert await propose_adjustment(group, **{**ASKED, "points": -31}) == few
    taken = await propose_adjustment(group, **{**ASKED, "points": -31, "idempotency_key": "b"})
    assert (taken.state, await posted(group)) == ("posted", 999)
    many = await propose_adjustment(group, **{**ASKED, "points": -700, "idempotency_key": "c"})
    many = await approve_adjustment(
        group, member_id=LI, adjustment_id=many.adjustment_id, **WHEN, checker="bo"
    )
    assert (many.state, many.available) == ("declined", 499)
    assert await verify(group) == []


async def test_points_of_members_who_must_stay_active_end_with_their_idleness(
    group: AsyncConnection,
) -> None:
    await group.execute(
        text("""INSERT INTO expiry_policy (effective_from, mode, idle_months, unit_id)
                VALUES ('2026-02-01Z', 'inactivity', 24, 1)""")
    )
    await propose_adjustment(group, **ASKED)
    lot = await group.execute(text("SELECT idle_months, expires_on = 'infinity' FROM lot"))
    assert tuple(lot.one()) == (24, True)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        *(("points", n, Malformed) for n in (0, 1.5, 10**13, -(10**13), True)),
        *(("reason", reason, Malformed) for reason in ("", "  ", "x" * 501, "a\0b")),
        *(("maker", maker, Malformed) for maker in ("", "x" * 201)),
        *(("unit", unit, NotFound) for unit in (2, 99)),
        *(("cost_rate", Decimal(cost), Malformed) for cost in ("-1", "1000", "NaN", "1e-9")),
        ("expires_on", TODAY - timedelta(days=1), Malformed),
        ("idempotency_key", "", Malformed),
        ("member_id", 10**9, NotFound),
    ],
)
async def test_what_makes_no_sense_names_its_field_and_is_not_kept(
    group: AsyncConnection, field: str, value: object, error: type[HubError]
) -> None:
    with pytest.raises(error) as said:
        await propose_adjustment(group, **{**ASKED, field: value})
    assert said.value.facts["field"] == field
    assert await group.scalar(text("SELECT count(*) FROM adjustment")) == 0


@pytest.mark.parametrize(
    ("field", "other"),
    [("points", 99), ("member_id", WEI), ("reason", "else"), ("maker", "bo"),
     ("cost_rate", Decimal("0.5")), ("expires_on", TODAY)],
)  # fmt: skip
async def test_a_key_used_again_for_another_adjustment_is_a_conflict(
    group: AsyncConnection, field: str, other: object
) -> None:
    await propose_adjustment(group, **ASKED)
    with pytest.raises(Conflict) as said:
        await propose_adjustment(group, **{**ASKED, field: other})
    assert said.value.field == field
    assert (await posted(group), await posted(group, WEI)) == (100, 0)


async def test_an_unknown_adjustment_is_not_found(group: AsyncConnection) -> None:
    with pytest.raises(NotFound) as said:
        await approve_adjustment(group, member_id=LI, adjustment_id=1, **WHEN, checker="bo")
    assert said.value.facts["field"] == "adjustment_id"


async def test_approved_by_many_at_once_it_is_posted_once(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await a_group(db)
        waits = await propose_adjustment(db, **{**ASKED, "points": 700})

    async def approve(checker: str) -> str | None:
        async with engine.begin() as db:
            done = await approve_adjustment(
                db, member_id=LI, adjustment_id=waits.adjustment_id, **WHEN, checker=checker
            )
            return done.checker

    checkers = await asyncio.gather(*(approve(f"bo-{n}") for n in range(8)))
    assert len(set(checkers)) == 1
    async with engine.connect() as db:
        assert await posted(db) == 700
        assert await verify(db) == []
