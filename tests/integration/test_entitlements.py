"""Quotas are ledgers: several sources, holds, cancellations, periods, each request once."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.configure import configure
from hub.benefits.definitions import BenefitConfig
from hub.benefits.entitlements.cancel_use import cancel_use
from hub.benefits.entitlements.expire import expire
from hub.benefits.entitlements.grant_entitlement import Granted, grant_entitlement
from hub.benefits.entitlements.hold import hold
from hub.benefits.entitlements.lapse import lapse
from hub.benefits.entitlements.queries import entitlements, grants, holds, movements
from hub.benefits.entitlements.release import release
from hub.benefits.entitlements.requests import UseAnswer, UseOutcome
from hub.benefits.entitlements.revoke import revoke
from hub.benefits.entitlements.use_held import use_held
from hub.benefits.entitlements.verify import CHECKS, check
from hub.benefits.tiers.promote import promote
from hub.benefits.use import use
from hub.errors import Conflict, Malformed, NotFound, Rejected
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.queries import obligations
from hub.settlement.verify import CHECKS as OF_PERIODS
from hub.settlement.verify import check as check_period
from tests.support.benefits import LADDER, SPRING, ZONE, late_checkout, make_ladder, qualify
from tests.support.benefits import refund as refund_points
from tests.support.settlement import noon

JULY, AUGUST = noon(date(2026, 7, 1)), noon(date(2026, 8, 1))
NEW_YEAR = noon(date(2027, 1, 2))


def changed(**terms: object) -> BenefitConfig:
    return BenefitConfig.model_validate({**late_checkout().model_dump(), **terms})


async def _bronze(db: AsyncConnection, **terms: object) -> dict[str, int]:
    ids = await make_ladder(db, benefits=[changed(**terms)])
    await qualify(db, 1, 1200, SPRING, key="sale")
    await promote(db, member_ids=[1, 2], now=SPRING, time_zone=ZONE)
    return ids


async def _give(db: AsyncConnection, quantity: int, until: date, **other: Any) -> Granted:
    asked: dict[str, Any] = {
        "member_id": 1, "benefit_code": "late-checkout", "quantity": quantity, "source": "staff",
        "source_id": f"letter-{until}", "starts_on": date(2026, 7, 1), "ends_on": until,
        "now": JULY, **other,
    }  # fmt: skip
    return await grant_entitlement(db, **asked)


async def _left(db: AsyncConnection, now: datetime = JULY) -> list[tuple[str, int, int, int, int]]:
    """Return by grant: its last day, held, used, ended and what is free; soonest first."""
    found = (await grants(db, member_ids=[1], now=now))[1]
    return [(g.ends_on.isoformat()[2:], g.held, g.used, g.ended, g.remaining) for g in found[::-1]]


async def _sound(db: AsyncConnection) -> None:
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)


class Till:
    """A hotel's till: every request of member 1 for the benefit, under a key of its own."""

    def __init__(self, db: AsyncConnection, business_id: int) -> None:
        self.db, self.business_id, self._keys = db, business_id, 0

    async def ask(self, verb: Any, now: datetime = JULY, **other: Any) -> UseAnswer:
        self._keys += 1
        asked = {"idempotency_key": f"k{self._keys}", **other}
        if verb in (use, hold):
            asked = {"member_id": 1, "benefit_code": "late-checkout", **asked}
        if verb is hold:
            asked = {"ttl_seconds": 600, **asked}
        answer: UseAnswer = await verb(self.db, business_id=self.business_id, now=now, **asked)
        return answer


async def test_quotas_of_several_sources_add_up_and_what_ends_soonest_goes_first(
    db: AsyncConnection,
) -> None:
    till = Till(db, (await _bronze(db))["hotel"])
    await _give(db, 1, date(2026, 7, 31))
    await _give(db, 3, date(2027, 3, 31), source="plan")
    answer = await till.ask(use, quantity=2)
    assert (answer.outcome, answer.remaining) == (UseOutcome.USED, 4)
    assert await _left(db) == [
        ("26-07-31", 0, 1, 0, 0), ("26-12-31", 0, 1, 0, 1), ("27-03-31", 0, 0, 0, 3),
    ]  # fmt: skip
    assert (await till.ask(use, quantity=5)).outcome is UseOutcome.QUOTA_USED
    seen = (await entitlements(db, member_ids=[1], now=JULY))[1]
    assert [(e.sources, e.remaining) for e in seen] == [
        (["staff"], 0), (["tier"], 1), (["plan"], 3),
    ]  # fmt: skip
    assert [m.kind for m in (await movements(db, member_ids=[1], now=JULY))[1]] == [
        "used", "used", "granted", "granted", "granted",
    ]  # fmt: skip
    await _sound(db)


async def test_a_source_grants_once_and_another_request_under_it_names_the_field(
    db: AsyncConnection,
) -> None:
    await _bronze(db)
    first = await _give(db, 2, date(2026, 7, 31))
    again = await _give(db, 2, date(2026, 7, 31))
    assert (first.replayed, again.replayed) == (False, True)
    assert first.entitlement_id == again.entitlement_id
    for other, field in (({"quantity": 3}, "quantity"), ({"member_id": 2}, "member_id")):
        with pytest.raises(Conflict) as refused:
            await _give(db, **{"quantity": 2, "until": date(2026, 7, 31), **other})
        assert refused.value.field == field
    for wrong in ({"quantity": 0}, {"source_id": ""}, {"ends_on": date(2026, 6, 30)}):
        with pytest.raises(Malformed):
            await _give(db, **{"quantity": 1, "until": date(2026, 8, 1), **wrong})
    with pytest.raises(NotFound):
        await _give(db, 1, date(2026, 8, 1), benefit_code="helicopter")
    # Who has no tier may use what was granted by hand.
    hotel = await db.scalar(text("SELECT business_id FROM business WHERE code = 'hotel'"))
    await _give(db, 1, date(2026, 8, 1), member_id=2, source_id="for-2")
    assert (await Till(db, hotel).ask(use, member_id=2)).outcome is UseOutcome.USED


async def test_what_is_held_is_used_or_released_in_parts(db: AsyncConnection) -> None:
    till = Till(db, (await _bronze(db, quota=3))["hotel"])
    held = await till.ask(hold, quantity=3)
    assert (held.outcome, held.remaining) == (UseOutcome.HELD, 0)
    assert (await till.ask(use)).outcome is UseOutcome.QUOTA_USED
    used = await till.ask(use_held, hold_id=held.use_id, quantity=1)
    assert (used.outcome, used.quantity) == (UseOutcome.USED, 1)
    asked = await till.ask(use_held, hold_id=held.use_id, quantity=3)
    assert asked.outcome is UseOutcome.HOLD_EXCEEDED
    back = await till.ask(release, hold_id=held.use_id, idempotency_key="back")
    again = await till.ask(release, hold_id=held.use_id, idempotency_key="back")
    assert (back.outcome, back.quantity, back.remaining) == (UseOutcome.RELEASED, 2, 2)
    assert (again.outcome, again.quantity, again.replayed) == (UseOutcome.RELEASED, 2, True)
    assert (await till.ask(use_held, hold_id=held.use_id)).outcome is UseOutcome.HOLD_CLOSED
    assert await _left(db) == [("26-12-31", 0, 1, 0, 2)]
    with pytest.raises(Conflict) as refused:
        await till.ask(use_held, hold_id=held.use_id, idempotency_key="back")
    assert refused.value.field == "kind"
    with pytest.raises(NotFound):
        await till.ask(release, hold_id=4711)
    with pytest.raises(Malformed):
        await till.ask(hold, ttl_seconds=0)
    await _sound(db)


async def test_a_hold_that_nobody_ends_lapses(db: AsyncConnection) -> None:
    till = Till(db, (await _bronze(db))["hotel"])
    held = await till.ask(hold)
    assert [h.remaining for h in (await holds(db, member_ids=[1], now=JULY))[1]] == [1]
    later = JULY + timedelta(seconds=600)
    assert (await till.ask(use_held, later, hold_id=held.use_id)).outcome is UseOutcome.HOLD_CLOSED
    assert [await lapse(db, now=at) for at in (JULY, later, later)] == [0, 1, 0]
    assert await _left(db) == [("26-12-31", 0, 0, 0, 2)]
    await _sound(db)


async def test_a_use_is_cancelled_in_parts_once_each_and_never_beyond(db: AsyncConnection) -> None:
    till = Till(db, (await _bronze(db, quota=3))["hotel"])
    await _give(db, 1, date(2026, 7, 31))
    used = await till.ask(use, quantity=3)
    first = await till.ask(cancel_use, use_id=used.use_id, quantity=1, idempotency_key="r")
    again = await till.ask(cancel_use, use_id=used.use_id, quantity=1, idempotency_key="r")
    assert (first.outcome, first.remaining) == (UseOutcome.CANCELLED, 2)
    assert (again.replayed, again.remaining) == (True, 2)
    beyond = await till.ask(cancel_use, use_id=used.use_id, quantity=3)
    assert (beyond.outcome, beyond.remaining) == (UseOutcome.USE_EXCEEDED, 2)
    assert (await till.ask(cancel_use, use_id=used.use_id)).quantity == 2
    assert (await till.ask(cancel_use, use_id=used.use_id)).outcome is UseOutcome.USE_EXCEEDED
    assert await _left(db) == [("26-07-31", 0, 0, 0, 1), ("26-12-31", 0, 0, 0, 3)]
    elsewhere = Till(db, till.business_id + 1)
    with pytest.raises(NotFound):
        await elsewhere.ask(cancel_use, use_id=used.use_id)
    await _sound(db)


@pytest.mark.parametrize(("days", "left"), [
    (0, ("26-12-31", 0, 0, 2, 0)), (30, ("27-01-31", 0, 0, 1, 1)),
])  # fmt: skip
async def test_what_comes_back_to_a_period_that_is_over_follows_the_terms(
    db: AsyncConnection, days: int, left: tuple[str, int, int, int, int]
) -> None:
    till = Till(db, (await _bronze(db, return_days=days))["hotel"])
    held = await till.ask(hold)
    used = await till.ask(use_held, hold_id=held.use_id)
    cancelled = await till.ask(cancel_use, NEW_YEAR, use_id=used.use_id)
    assert cancelled.outcome is UseOutcome.CANCELLED
    assert (await _left(db))[0] == left
    await _sound(db)


async def test_what_is_unused_ends_with_its_period_and_some_goes_on_once(
    db: AsyncConnection,
) -> None:
    till = Till(db, (await _bronze(db, quota=4, carry_over=2))["hotel"])
    held = await till.ask(hold, ttl_seconds=3600)
    at: dict[str, Any] = {"now": NEW_YEAR, "time_zone": ZONE}
    swept = [await expire(db, today=date(2027, 1, 2), **at) for _ in range(2)]
    assert [one.entitlements for one in swept] == [1, 0]
    assert await _left(db) == [("26-12-31", 1, 0, 3, 0), ("27-12-31", 0, 0, 0, 2)]
    await till.ask(release, NEW_YEAR, hold_id=held.use_id)
    await expire(db, today=date(2027, 1, 2), **at)
    assert await _left(db) == [("26-12-31", 0, 0, 4, 0), ("27-12-31", 0, 0, 0, 2)]
    assert (await till.ask(use, NEW_YEAR, quantity=6)).outcome is UseOutcome.USED
    # What was carried ends for good.
    await expire(db, today=date(2028, 1, 2), **at)
    assert {row[0] for row in await _left(db)} == {"26-12-31", "27-12-31"}
    await _sound(db)


@pytest.mark.parametrize(("policy", "outcome", "left"), [
    ("suspend", UseOutcome.NOT_ENTITLED, (0, 2)), ("keep_period", UseOutcome.USED, (0, 1)),
    ("end", UseOutcome.NOT_ENTITLED, (2, 0)),
])  # fmt: skip
async def test_a_lost_tier_takes_what_its_terms_say(
    db: AsyncConnection, policy: str, outcome: UseOutcome, left: tuple[int, int]
) -> None:
    ids = await make_ladder(db, benefits=[changed(on_loss=policy)])
    sale = await qualify(db, 1, 1200, SPRING, key="sale")
    await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    await refund_points(db, 1, sale, 1200, JULY, key="refund")
    await promote(db, member_ids=[1], now=JULY, time_zone=ZONE)
    assert (await Till(db, ids["hotel"]).ask(use)).outcome is outcome
    assert [row[3:] for row in await _left(db)] == [left]
    await _sound(db)


async def test_staff_revoke_what_is_free_but_not_what_a_tier_gives(db: AsyncConnection) -> None:
    till = Till(db, (await _bronze(db))["hotel"])
    given = await _give(db, 3, date(2026, 7, 31))
    await till.ask(use)
    said: dict[str, Any] = {"reason": "sent to the wrong guest", "actor": "ann", "now": JULY}
    ended = [await revoke(db, entitlement_id=given.entitlement_id, **said) for _ in range(2)]
    assert ended == [2, 0]
    assert (await _left(db))[0] == ("26-07-31", 0, 1, 2, 0)
    tier = (await grants(db, member_ids=[1], now=JULY))[1][0]
    with pytest.raises(Rejected):
        await revoke(db, entitlement_id=tier.entitlement_id, **said)
    with pytest.raises(NotFound):
        await revoke(db, entitlement_id=4711, **said)
    await _sound(db)


@pytest.mark.parametrize(("period", "day", "starts", "ends"), [
    ("month", date(2026, 2, 28), date(2026, 2, 1), date(2026, 2, 28)),
    ("quarter", date(2026, 5, 31), date(2026, 4, 1), date(2026, 6, 30)),
    ("week", date(2026, 7, 5), date(2026, 6, 29), date(2026, 7, 5)),
    ("anniversary", date(2027, 2, 27), date(2026, 2, 28), date(2027, 2, 27)),
    ("anniversary", date(2028, 2, 28), date(2027, 2, 28), date(2028, 2, 28)),
    ("anniversary", date(2024, 2, 29), date(2024, 2, 29), date(2025, 2, 27)),
    ("lifetime", date(2026, 5, 31), date(2024, 2, 29), date(9999, 12, 31)),
])  # fmt: skip
async def test_periods_follow_each_other_without_a_gap(
    db: AsyncConnection, period: str, day: date, starts: date, ends: date
) -> None:
    row = await db.execute(
        text("SELECT * FROM benefit_period(:period, :day, :joined)"),
        {"period": period, "day": day, "joined": date(2024, 2, 29)},
    )
    assert tuple(row.one()) == (starts, ends)


async def test_prices_and_outlets_are_those_of_who_serves_it(db: AsyncConnection) -> None:
    terms = {"outlets": {"hotel": ["lobby"]}, "prices": {"dining": 100}, "quota": 9}
    ids = await _bronze(db, **terms)
    hotel, dining = Till(db, ids["hotel"]), Till(db, ids["dining"])
    answers = [
        await hotel.ask(use, outlet="pool"), await hotel.ask(use), await dining.ask(use),
        await hotel.ask(use, outlet="lobby"),
    ]  # fmt: skip
    assert [a.outcome.value for a in answers] == [
        "not_offered_here", "not_offered_here", "used", "used",
    ]  # fmt: skip
    priced = await db.execute(
        text("SELECT price_minor FROM entitlement_use WHERE outcome = 'used' ORDER BY use_id")
    )
    assert [price for (price,) in priced] == [100, 8800]


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancelled_use_is_owed_no_more_even_when_its_month_is_closed(
    db: AsyncConnection, late: bool
) -> None:
    ids = await _bronze(db, quota=5)
    till = Till(db, ids["hotel"])
    used = await till.ask(use, quantity=3)
    july = await open_period(db, code="2026-07", now=JULY)
    august = await open_period(db, code="2026-08", now=AUGUST)
    if late:
        await close(db, period_id=july.period_id, now=AUGUST)
    await till.ask(cancel_use, AUGUST if late else JULY, use_id=used.use_id, quantity=2)
    if not late:
        await close(db, period_id=july.period_id, now=AUGUST)
    await close(db, period_id=august.period_id, now=noon(date(2026, 9, 1)))
    lines = [
        line
        for one in (july, august)
        for line in await obligations(db, period_id=one.period_id, first=10)
    ]
    assert [line.amount for line in lines] == [Decimal(264), Decimal(-176)]
    assert {(line.debtor_id, line.creditor_id) for line in lines} == {(ids["retail"], ids["hotel"])}
    assert [name for name in OF_PERIODS if await check_period(db, name) is not None] == []


@pytest.mark.parametrize(("kind", "wrong"), [
    ("discount", {"percent": "20", "amount_minor": 5}), ("discount", {"percent": "120"}),
    ("discount", {"cap_minor": 5}), ("free_item", {"max_value_minor": 1}),
    ("points_multiplier", {"factor": 1.5}), ("late_checkout", {"until": "25:00"}),
    ("upgrade", {"percent": "5"}),
])  # fmt: skip
def test_parameters_are_those_of_the_kind(kind: str, wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        changed(kind=kind, parameters=wrong)


async def test_parameters_are_kept_with_their_terms_and_not_edited(db: AsyncConnection) -> None:
    await make_ladder(db, benefits=[])
    twenty = changed(
        code="twenty", kind="discount", parameters={"percent": "20", "categories": ["dessert"]}
    )
    for _ in range(2):
        await configure(db, tiers=LADDER, benefits=[twenty])
    kept = await db.scalar(text("SELECT parameters FROM benefit_terms"))
    assert (kept["percent"], kept["categories"], kept["cap_minor"]) == ("20", ["dessert"], None)
    other = twenty.model_copy(update={"parameters": {"percent": "25"}})
    with pytest.raises(Conflict) as refused:
        await configure(db, tiers=LADDER, benefits=[other])
    assert refused.value.field == "parameters"
