"""Recognition through the real verbs: the textbook, new estimates, a programme company."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.allocations import allocations
from hub.accounting.approve_estimate import approve_estimate
from hub.accounting.estimates import estimates
from hub.accounting.movements import MovementKind, RollForward
from hub.accounting.propose_estimate import propose_estimate
from hub.accounting.recognise import recognise
from hub.accounting.reject_estimate import reject_estimate
from hub.accounting.set_policy import set_policy
from hub.accounting.state_opening import state_opening
from hub.errors import Conflict, Forbidden, HubError, Malformed, NotFound, Rejected
from hub.points.expire import expire
from hub.settlement.open_period import open_period
from hub.settlement.queries import obligations, period_by_code
from tests.support.accounting import (
    Shops,
    account_for,
    closed,
    expect,
    make_selling_group,
    recognised,
)
from tests.support.settlement import agreement, noon

K = MovementKind
JANUARY = date(2026, 1, 1)
SALES_DAY = date(2026, 1, 5)


def end_of(year: int, month: int) -> datetime:
    """The first moments after a month."""
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


async def shops(db: AsyncConnection, *, rate: str = "0.8", points: str = "1") -> Shops:
    """One group: retail sells, hotel takes its points at 0.008; January's terms hold."""
    ids = await make_selling_group(
        db, [agreement("retail", "hotel", "0.008")], points_per_unit=points
    )
    for issuer_id in ids.values():
        await account_for(db, issuer_id, value="0.01", since=JANUARY)
        await expect(db, issuer_id, rate, since=JANUARY)
    return Shops(db, ids)


async def month(shops: Shops, number: int) -> RollForward:
    rolls = await recognised(shops.db, f"2026-{number:02}", end_of(2026, number))
    (roll,) = [one for one in rolls if one.owner_id == shops.ids["retail"]]
    assert roll.proof.amount == roll.of(K.CLOSING).amount
    assert sum(m.minor for m in roll.movements[:-1]) == roll.of(K.CLOSING).minor
    assert sum(m.amount for m in roll.movements[:-1]) == roll.of(K.CLOSING).amount
    return roll


async def test_the_textbook_case_through_the_verbs(db: AsyncConnection) -> None:
    """IFRS 15, illustrative example 52; its years are months here."""
    ids = await make_selling_group(db, [], points_per_unit="0.1")
    retail = ids["retail"]
    till = Shops(db, ids)
    await account_for(db, retail, value="1", since=JANUARY)
    await expect(db, retail, "0.95", since=JANUARY)
    await till.sell("retail", 1, 100_000_00, SALES_DAY)
    await till.redeem("retail", 1, 4_500, date(2026, 1, 20))
    rolls = [await month(till, 1)]
    (share,) = await allocations(db, period_id=rolls[0].period_id)
    assert (round(share.to_goods), round(share.to_points)) == (91_324, 8_676)
    await expect(db, retail, "0.97", since=date(2026, 2, 1))
    await till.redeem("retail", 1, 4_000, date(2026, 2, 20))
    rolls.append(await month(till, 2))
    await till.redeem("retail", 1, 1_200, date(2026, 3, 20))
    rolls.append(await month(till, 3))
    revenue = [-(roll.of(K.REDEEMED).amount + roll.of(K.CATCH_UP).amount) for roll in rolls]
    assert [round(amount) for amount in revenue] == [4_110, 3_493, 1_073]
    assert rolls[-1].of(K.CLOSING).minor == 0
    assert rolls[-1].of(K.CLOSING).points == 300


async def test_a_new_estimate_is_caught_up_with_in_its_own_period(db: AsyncConnection) -> None:
    till = await shops(db)
    retail = till.ids["retail"]
    await till.sell("retail", 1, 99_000_00, SALES_DAY)
    await till.redeem("hotel", 1, 39_600, date(2026, 1, 20))
    one = await month(till, 1)
    await expect(db, retail, "0.5", since=date(2026, 2, 1))
    fewer = await month(till, 2)
    await expect(db, retail, "0.9", since=date(2026, 3, 1))
    more = await month(till, 3)
    # Half of 79,200 expected was redeemed; then it is four fifths of 49,500, then 4/9 of 89,100.
    paid = one.of(K.DEFERRED).amount
    assert one.of(K.REDEEMED).amount == -paid / 2
    assert round(fewer.of(K.CATCH_UP).amount, 6) == round(-paid * 3 / 10, 6)
    assert round(more.of(K.CATCH_UP).amount, 6) == round(
        paid * (Decimal(5) / 9 - Decimal("0.2")), 6
    )
    assert [roll.of(K.CATCH_UP).points for roll in (fewer, more)] == [0, 0]
    assert round(more.of(K.CLOSING).amount, 6) == round(paid * 5 / 9, 6)
    again = await recognise(
        db, period_id=one.period_id, actor="mei", now=datetime(2026, 5, 1, tzinfo=UTC)
    )
    assert [r for r in again if r.owner_id == retail] == [one]


async def test_an_estimate_of_a_cohort_is_for_it_alone(db: AsyncConnection) -> None:
    till = await shops(db)
    retail = till.ids["retail"]
    for day in (SALES_DAY, date(2026, 2, 5)):
        await till.sell("retail", 1, 99_000_00, day)
        await month(till, day.month)
    await expect(db, retail, "0.5", since=date(2026, 3, 1), cohort=date(2026, 2, 1))
    await till.redeem("retail", 1, 39_600, date(2026, 3, 5))
    roll = await month(till, 3)
    assert roll.proof.expected_points == Decimal(79_200 - 39_600 + 49_500)


async def test_what_ends_beyond_the_estimate_is_breakage(db: AsyncConnection) -> None:
    till = await shops(db)
    await till.bring("retail", 1, 10_000, SALES_DAY, expires_on=date(2026, 3, 10))
    await till.redeem("retail", 1, 7_000, date(2026, 1, 20))
    one = await month(till, 1)
    # Without a stated liability: 8,000 that are expected at a cost of 0.008 each.
    assert one.of(K.OPENING).amount == Decimal(64)
    await month(till, 2)
    await expire(db, today=date(2026, 3, 11), now=noon(date(2026, 3, 11)))
    three = await month(till, 3)
    assert (three.of(K.EXPIRED).points, three.of(K.EXPIRED).minor) == (-3_000, 0)
    assert three.of(K.BREAKAGE).minor == -8_00
    assert three.of(K.CLOSING).minor == three.of(K.CLOSING).points == 0


async def test_flows_are_what_the_period_settles_and_late_points_come_later(
    db: AsyncConnection,
) -> None:
    till = await shops(db)
    await till.sell("retail", 1, 1_000_00, SALES_DAY)
    await till.redeem("hotel", 1, 300, date(2026, 1, 20))
    one = await month(till, 1)
    await till.redeem("hotel", 1, 200, date(2026, 1, 25))
    await till.redeem("hotel", 1, 100, date(2026, 2, 3))
    two = await month(till, 2)
    for roll, points in ((one, 300), (two, 300)):
        lines = await obligations(db, period_id=roll.period_id, first=10)
        assert sum(line.points for line in lines) == points
        assert roll.of(K.REDEEMED).partner_points == -points


async def test_recognition_is_closed_with_its_period(db: AsyncConnection) -> None:
    till = await shops(db)
    await till.sell("retail", 1, 1_000_00, SALES_DAY)
    roll = await month(till, 1)
    changes = (
        "UPDATE liability_movement SET amount = 0",
        "DELETE FROM liability_cohort",
        "UPDATE period_flow SET points = points + 1",
        "UPDATE recognition SET actor = 'x'",
        "UPDATE accounting_policy SET point_value = 2",
        "UPDATE redemption_estimate SET rate = 0.1",
        f"INSERT INTO period_flow "
        f"SELECT {roll.period_id}, date '2020-01-01', 1, 1, 1, 1, 10, 1, 1, 0, 0",
    )
    for change in changes:
        with pytest.raises(DBAPIError, match=r"append-only|never edited|closing"):
            async with db.begin_nested():
                await db.execute(text(change))


async def test_what_is_missing_is_named_all_at_once(db: AsyncConnection) -> None:
    ids = await make_selling_group(db, [], points_per_unit="1")
    till = Shops(db, ids)
    await till.sell("retail", 1, 1_000_00, SALES_DAY)
    await till.sell("hotel", 1, 1_000_00, SALES_DAY)
    await account_for(db, ids["hotel"], value="0.01", since=JANUARY)
    january = await closed(db, "2026-01", end_of(2026, 1))
    february = await closed(db, "2026-02", end_of(2026, 2))
    with pytest.raises(Rejected) as told:
        await recognise(db, period_id=january.period_id, actor="wei", now=end_of(2026, 2))
    assert "retail has no accounting policy" in told.value.message
    assert "hotel has no approved estimate" in told.value.message
    assert "hotel has no accounting policy" not in told.value.message
    with pytest.raises(Rejected, match="2026-01 is not recognised yet"):
        await recognise(db, period_id=february.period_id, actor="wei", now=end_of(2026, 3))


async def test_an_open_period_is_not_recognised(db: AsyncConnection) -> None:
    till = await shops(db)
    await till.sell("retail", 1, 1_000_00, SALES_DAY)
    await month(till, 1)
    await till.sell("retail", 1, 1_000_00, date(2026, 2, 5))
    await open_period(db, code="2026-02", now=end_of(2026, 1))
    period = await period_by_code(db, "2026-02")
    with pytest.raises(Rejected, match="was not closed"):
        await recognise(db, period_id=period.period_id, actor="wei", now=end_of(2026, 2))


async def test_who_proposes_does_not_approve_and_what_is_recognised_stands(
    db: AsyncConnection,
) -> None:
    till = await shops(db)
    retail = till.ids["retail"]
    await till.sell("retail", 1, 1_000_00, SALES_DAY)
    await month(till, 1)
    facts = {"issuer_id": retail, "rate": Decimal("0.7"), "maker": "mei", "reason": "seen so"}
    made = await propose_estimate(db, effective_from=date(2026, 2, 1), now=NOW, **facts)
    same = await propose_estimate(db, effective_from=date(2026, 2, 1), now=NOW, **facts)
    assert same == made
    with pytest.raises(Forbidden):
        await approve_estimate(db, estimate_id=made.estimate_id, checker="mei", now=NOW)
    done = await approve_estimate(db, estimate_id=made.estimate_id, checker="wei", now=NOW)
    assert await approve_estimate(db, estimate_id=made.estimate_id, checker="li", now=NOW) == done
    with pytest.raises(Rejected, match="is in force"):
        await reject_estimate(db, estimate_id=made.estimate_id, checker="li", verdict="no", now=NOW)
    other = await propose_estimate(
        db, effective_from=date(2026, 2, 1), now=NOW, **{**facts, "rate": Decimal("0.6")}
    )
    with pytest.raises(Rejected, match=f"estimate {made.estimate_id} is in force"):
        await approve_estimate(db, estimate_id=other.estimate_id, checker="wei", now=NOW)
    late = await propose_estimate(db, effective_from=date(2026, 1, 15), now=NOW, **facts)
    with pytest.raises(Rejected, match="2026-01 is recognised"):
        await approve_estimate(db, estimate_id=late.estimate_id, checker="wei", now=NOW)
    gone = await reject_estimate(
        db, estimate_id=late.estimate_id, checker="mei", verdict="too late", now=NOW
    )
    assert (gone.state, gone.checker) == ("rejected", "mei")
    with pytest.raises(Rejected, match="was rejected"):
        await approve_estimate(db, estimate_id=late.estimate_id, checker="wei", now=NOW)
    waiting = await estimates(db, issuer_ids=[retail], state="proposed")
    assert [one.estimate_id for one in waiting] == [other.estimate_id]


NOW = datetime(2026, 2, 10, tzinfo=UTC)
BAD_ESTIMATES: list[tuple[dict[str, object], type[HubError], str]] = [
    ({"rate": Decimal(0)}, Malformed, "rate"),
    ({"rate": Decimal("1.01")}, Malformed, "rate"),
    ({"rate": Decimal("NaN")}, Malformed, "rate"),
    ({"rate": Decimal("0.123456789")}, Malformed, "rate"),
    ({"low": Decimal("0.9")}, Malformed, "rate"),
    ({"high": Decimal("0.5")}, Malformed, "rate"),
    ({"cohort": date(2026, 1, 2)}, Malformed, "cohort"),
    ({"reason": " "}, Malformed, "reason"),
    ({"maker": ""}, Malformed, "maker"),
    ({"method": "guess"}, Malformed, "method"),
    ({"issuer_id": 99}, NotFound, "issuer_id"),
]
BAD_POLICIES: list[tuple[dict[str, object], type[HubError], str]] = [
    ({"point_value": Decimal(0)}, Malformed, "point_value"),
    ({"point_value": Decimal("Infinity")}, Malformed, "point_value"),
    ({"effective_from": date(2026, 4, 2)}, Malformed, "effective_from"),
    ({"role": "broker"}, Malformed, "role"),
    ({"issuer_id": 99}, NotFound, "issuer_id"),
    ({"unit": 2}, NotFound, "unit"),
    ({"effective_from": JANUARY, "point_value": Decimal("0.02")}, Conflict, "point_value"),
    ({"effective_from": date(2025, 12, 1)}, Rejected, "effective_from"),
]


@pytest.mark.parametrize(("wrong", "error", "field"), BAD_ESTIMATES)
async def test_a_bad_estimate_is_refused_with_its_field(
    db: AsyncConnection, wrong: dict[str, object], error: type[HubError], field: str
) -> None:
    till = await shops(db)
    said: dict[str, object] = {
        "issuer_id": till.ids["retail"],
        "rate": Decimal("0.7"),
        "effective_from": date(2026, 4, 1),
        "maker": "mei",
        "reason": "seen so",
    }
    with pytest.raises(error) as told:
        await propose_estimate(db, now=NOW, **{**said, **wrong})  # type: ignore[arg-type]
    assert told.value.facts["field"] == field


@pytest.mark.parametrize(("wrong", "error", "field"), BAD_POLICIES)
async def test_a_bad_policy_is_refused_with_its_field(
    db: AsyncConnection, wrong: dict[str, object], error: type[HubError], field: str
) -> None:
    till = await shops(db)
    await till.sell("retail", 1, 1_000_00, SALES_DAY)
    await month(till, 1)
    said: dict[str, object] = {
        "issuer_id": till.ids["retail"],
        "effective_from": date(2026, 4, 1),
        "point_value": Decimal("0.01"),
        "actor": "wei",
    }
    with pytest.raises(error) as told:
        await set_policy(db, now=NOW, **{**said, **wrong})  # type: ignore[arg-type]
    assert told.value.facts["field"] == field
    kept = await set_policy(db, now=NOW, **said)  # type: ignore[arg-type]
    assert await set_policy(db, now=NOW, **said) == kept  # type: ignore[arg-type]


async def test_an_opening_liability_is_stated_once_and_in_time(db: AsyncConnection) -> None:
    till = await shops(db)
    retail = till.ids["retail"]
    facts = {"issuer_id": retail, "actor": "wei", "reason": "the old books", "now": NOW}
    for amount, error in (("-1", Rejected), ("1.005", Malformed), ("much", Malformed)):
        with pytest.raises(error):
            await state_opening(db, amount=amount, **facts)
    assert await state_opening(db, amount="100", **facts) == Decimal(100)
    assert await state_opening(db, amount="100.00", **facts) == Decimal(100)
    with pytest.raises(Conflict):
        await state_opening(db, amount="101", **facts)
    await till.bring("retail", 1, 700, SALES_DAY)
    await till.bring("retail", 2, 300, date(2026, 1, 6))
    roll = await month(till, 1)
    assert (roll.of(K.OPENING).minor, roll.of(K.OPENING).points) == (100_00, 1_000)
    hotel = till.ids["hotel"]
    await till.bring("hotel", 3, 300, date(2026, 2, 6))
    await recognised(db, "2026-02", end_of(2026, 2))
    with pytest.raises(Rejected, match="recognised already"):
        await state_opening(db, amount="1", **{**facts, "issuer_id": hotel})
