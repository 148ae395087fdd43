"""Points that one member gives another."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, HubError, Malformed, NotFound
from hub.ledger.codes import Outcome
from hub.ledger.queries import balances, open_lots
from hub.ledger.verify import verify
from hub.points.transfer import transfer
from tests.support.ledger import NOON, TODAY, give
from tests.support.people import HAN, LI, WEI, a_group

ASKED: dict[str, Any] = {
    "business_id": 2, "member_id": LI, "receiver_id": HAN, "points": 60, "idempotency_key": "t",
    "occurred_at": NOON, "business_date": TODAY, "today": TODAY, "now": NOON,
}  # fmt: skip
AUTUMN = TODAY.replace(month=12)


@pytest.fixture
async def group(db: AsyncConnection) -> AsyncConnection:
    await a_group(db)
    await give(db, LI, 100, expires_on=AUTUMN)
    await give(db, LI, 900)
    return db


async def available(db: AsyncConnection, member_id: int) -> int:
    found = await balances(db, member_ids=[member_id], today=TODAY, now=NOON)
    return found[member_id].available


async def test_points_travel_with_issuer_and_last_day_to_an_account_at_the_business(
    group: AsyncConnection,
) -> None:
    done = await transfer(group, **ASKED)
    assert (done.outcome, done.points, done.counterpart_id) == (Outcome.POSTED, 60, HAN)
    [lot] = (await open_lots(group, member_ids=[HAN], limit=9))[HAN]
    assert (lot.issuer_id, lot.expires_on, lot.remaining, lot.account_id) == (1, AUTUMN, 60, 82)
    assert (await available(group, LI), await available(group, HAN)) == (940, 60)
    again = await transfer(group, **ASKED)
    assert (again.replayed, again.tx_id) == (True, done.tx_id)
    assert await available(group, HAN) == 60
    assert await verify(group) == []


async def test_a_receiver_without_account_there_holds_them_on_the_lots_own(
    group: AsyncConnection,
) -> None:
    await transfer(group, **{**ASKED, "receiver_id": WEI})
    [lot] = (await open_lots(group, member_ids=[WEI], limit=9))[WEI]
    assert lot.account_id == LI * 10 + 1


async def test_the_years_limits_are_answers_and_the_next_year_has_its_own(
    group: AsyncConnection,
) -> None:
    await transfer(group, **{**ASKED, "points": 400, "idempotency_key": "a"})
    over = await transfer(group, **{**ASKED, "points": 101, "idempotency_key": "b"})
    assert (over.outcome, over.available) == (Outcome.LIMIT_EXCEEDED, 100)
    # What the receiver may still get counts as well.
    await give(group, WEI, 500)
    full = {**ASKED, "member_id": WEI, "points": 101, "idempotency_key": "c"}
    assert (await transfer(group, **full)).outcome is Outcome.LIMIT_EXCEEDED
    new_year = TODAY.replace(year=2027)
    later = {**ASKED, "points": 101, "idempotency_key": "d", "today": new_year}
    assert (await transfer(group, **later)).outcome is Outcome.POSTED
    again = await transfer(group, **{**ASKED, "points": 101, "idempotency_key": "b"})
    assert (again.outcome, again.replayed) == (Outcome.LIMIT_EXCEEDED, True)
    assert await verify(group) == []


async def test_too_few_points_is_an_answer(group: AsyncConnection) -> None:
    asked = {**ASKED, "member_id": HAN, "receiver_id": LI}
    assert (await transfer(group, **asked)).outcome is Outcome.INSUFFICIENT_POINTS
    await give(group, HAN, 500)
    assert (await transfer(group, **asked)).outcome is Outcome.INSUFFICIENT_POINTS
    assert await verify(group) == []


async def test_a_merged_away_member_is_who_they_are_now(group: AsyncConnection) -> None:
    await group.execute(
        text("UPDATE member SET status = 'merged', merged_into = :li WHERE member_id = :wei"),
        {"li": LI, "wei": WEI},
    )
    assert (await transfer(group, **{**ASKED, "member_id": WEI})).member_id == LI
    with pytest.raises(Malformed) as said:
        await transfer(group, **{**ASKED, "receiver_id": WEI, "idempotency_key": "u"})
    assert said.value.field == "receiver_id"


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("receiver_id", LI, Malformed),
        ("receiver_id", 10**9, NotFound),
        ("member_id", 10**9, NotFound),
        ("points", 0, Malformed),
        ("points", -5, Malformed),
        ("points", 1.5, Malformed),
        ("points", 10**13, Malformed),
        ("unit", 2, NotFound),
        ("unit", 99, NotFound),
        ("idempotency_key", "", Malformed),
        ("occurred_at", NOON.replace(year=2099), Malformed),
    ],
)
async def test_what_makes_no_sense_names_its_field(
    group: AsyncConnection, field: str, value: object, error: type[HubError]
) -> None:
    with pytest.raises(error) as said:
        await transfer(group, **{**ASKED, field: value})
    assert said.value.facts["field"] == field
    assert await available(group, LI) == 1000


@pytest.mark.parametrize(
    ("field", "other", "named"),
    [
        ("points", 61, "points"),
        ("receiver_id", WEI, "counterpart_id"),
        ("member_id", WEI, "member_id"),
    ],
)
async def test_a_key_used_again_for_another_transfer_is_a_conflict(
    group: AsyncConnection, field: str, other: int, named: str
) -> None:
    await transfer(group, **ASKED)
    with pytest.raises(Conflict) as said:
        await transfer(group, **{**ASKED, field: other})
    assert said.value.field == named
    assert await verify(group) == []
