"""What redemptions cost by award, category and occupancy; what is given back cancels them."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Malformed, Rejected
from hub.ledger.codes import Outcome
from hub.points.capture import capture
from hub.points.hold import hold
from hub.points.purpose import Purpose
from hub.points.redeem import redeem
from hub.programme.agree import AgreementConfig, AgreementRateConfig
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.queries import obligations
from hub.settlement.state_occupancy import state_occupancy
from hub.settlement.verify import CHECKS, check
from tests.support.settlement import Tills, agreement, make_group, noon

DAY = date(2026, 3, 12)
CLOSED = noon(date(2026, 4, 1))
NIGHT, SUITE = Decimal("100"), Decimal("333.3333")


def ruled(*rates: dict[str, Any], **more: Any) -> AgreementConfig:
    found = tuple(AgreementRateConfig.model_validate(rate) for rate in rates)
    plain = agreement("retail", "hotel", "0.008")
    return plain.model_copy(update={"rates": found, **more})


AWARDS = ruled(
    {"award": "night", "amount": NIGHT},
    {"award": "suite", "amount": SUITE},
    {"award": "drink", "rate_per_point": "0.02"},
    {"category": "spa", "rate_per_point": "0.006"},
    {"from_percent": 80, "rate_per_point": "0.01"},
    {"from_percent": 95, "rate_per_point": "0.012"},
)


async def group(db: AsyncConnection, *agreements: AgreementConfig) -> Tills:
    others = [agreement("retail", "dining", "0.005"), agreement("hotel", "retail", "0.008")]
    return Tills(db, await make_group(db, [*agreements, *others]))


async def amounts(
    db: AsyncConnection, code: str = "2026-03"
) -> list[tuple[int, Decimal | None, Decimal]]:
    """Close a month; return points, rate and amount of its lines in the order of posting."""
    period = await open_period(db, code=code, now=CLOSED)
    await close(db, period_id=period.period_id, now=CLOSED + timedelta(days=70))
    lines = await obligations(db, period_id=period.period_id, first=1000)
    assert [name for name in CHECKS if await check(db, name) is not None] == []
    return [
        (ln.points, ln.rate, ln.amount) for ln in sorted(lines, key=lambda ln: (ln.tx_id, ln.seq))
    ]


async def test_the_narrowest_rate_holds(db: AsyncConnection) -> None:
    tills = await group(db, AWARDS)
    await tills.issue("retail", 1, 100_000, DAY)
    full = DAY + timedelta(days=1)
    for day, percent in ((DAY, "79.99"), (full, "80"), (full + timedelta(days=1), "95.5")):
        await state_occupancy(
            db, business_id=tills.ids["hotel"], day=day, percent=Decimal(percent), actor="li",
            now=CLOSED,
        )  # fmt: skip
    await tills.redeem("hotel", 1, 1000, DAY, category="spa", award="night")
    await tills.redeem("hotel", 1, 1000, DAY, category="spa", award="unheard-of")
    await tills.redeem("hotel", 1, 1000, full, category="other")
    await tills.redeem("hotel", 1, 1000, full + timedelta(days=1))
    await tills.redeem("hotel", 1, 1000, full, award="drink")
    await tills.redeem("hotel", 1, 1000, DAY)
    await tills.redeem("hotel", 1, 1000, DAY + timedelta(days=5), category="other")
    await tills.redeem("dining", 1, 1000, DAY, award="night")  # this pair agreed on nothing
    assert [amount for _, _, amount in await amounts(db)] == [
        NIGHT, *map(Decimal, (6, 10, 12, 20, 8, 8, 5)),
    ]  # fmt: skip


async def test_a_price_for_the_whole_is_shared_by_lots_and_given_back_in_parts(
    db: AsyncConnection,
) -> None:
    tills = await group(db, AWARDS)
    for points in (7, 11, 13):
        await tills.issue("retail", 1, points, DAY)
    spent = await tills.redeem("hotel", 1, 30, DAY, award="suite")
    await tills.restore("hotel", 1, spent, 5, DAY)
    shares = await amounts(db)
    assert [points for points, _, _ in shares] == [7, 11, 12, -5]
    assert all(rate is None for _, rate, _ in shares)
    assert sum(amount for points, _, amount in shares if points > 0) == SUITE
    # The rest comes back in a later period, when nothing but the lines knows the price.
    late = date(2026, 4, 20)
    for points in (1, 20, 4):
        await tills.restore("hotel", 1, spent, points, late)
    later = await amounts(db, "2026-04")
    assert sum(points for points, _, _ in [*shares, *later]) == 0
    assert sum(amount for _, _, amount in [*shares, *later]) == 0


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(
    lots=st.lists(st.integers(1, 50), min_size=1, max_size=5),
    price=st.decimals(min_value=0, max_value=1000, places=4),
    parts=st.lists(st.integers(1, 40), max_size=6),
    between=st.integers(0, 6),
)
async def test_shares_add_up_whatever_comes_back_and_when(
    db: AsyncConnection, lots: list[int], price: Decimal, parts: list[int], between: int
) -> None:
    outer = await db.begin_nested()
    tills = await group(db, ruled({"award": "night", "amount": price}))
    for points in lots:
        await tills.issue("retail", 1, points, DAY)
    spent = await tills.redeem("hotel", 1, sum(lots), DAY, award="night")
    left, found = sum(lots), []
    for turn, points in enumerate([*parts, left]):
        if turn == between:
            found = await amounts(db)
        some = min(points, left)
        if some:
            left -= some
            day = DAY if turn < between else date(2026, 4, 20)
            await tills.restore("hotel", 1, spent, some, day)
    found = [*(found or await amounts(db)), *await amounts(db, "2026-04")]
    assert sum(amount for points, _, amount in found if points > 0) == price
    if left == 0:
        assert sum(amount for _, _, amount in found) == 0
    await outer.rollback()


async def test_occupancy_that_is_restated_does_not_reprice_what_is_given_back(
    db: AsyncConnection,
) -> None:
    tills = await group(db, AWARDS)
    await tills.issue("retail", 1, 1000, DAY)
    facts = {"business_id": tills.ids["hotel"], "day": DAY, "actor": "li"}
    for minute, percent in enumerate(("90", "90", "96")):
        at = CLOSED - timedelta(minutes=5 - minute)
        await state_occupancy(db, **facts, percent=Decimal(percent), now=at)
    assert await db.scalar(text("SELECT count(*) FROM occupancy")) == 2
    spent = await tills.redeem("hotel", 1, 500, DAY)
    assert await amounts(db) == [(500, Decimal("0.012"), Decimal(6))]
    await state_occupancy(db, **facts, percent=Decimal(10), now=CLOSED + timedelta(days=1))
    await tills.restore("hotel", 1, spent, 500, date(2026, 4, 2))
    assert await amounts(db, "2026-04") == [(-500, Decimal("0.012"), Decimal(-6))]
    for wrong in ("-1", "100.01", "1.005", "NaN"):
        with pytest.raises(Malformed):
            await state_occupancy(db, **facts, percent=Decimal(wrong), now=CLOSED)


async def test_a_close_waits_for_the_occupancy_where_that_is_agreed(db: AsyncConnection) -> None:
    band = {"from_percent": 50, "rate_per_point": "0.01"}
    tills = await group(db, ruled(band, {"award": "night", "amount": "5"}, occupancy_required=True))
    await tills.issue("retail", 1, 1000, DAY)
    await tills.redeem("hotel", 1, 100, DAY, award="night")
    await tills.redeem("hotel", 1, 100, DAY)
    with pytest.raises(Rejected, match="occupancy is not stated") as refused:
        await amounts(db)
    assert "1 lines from 2026-03-12 to 2026-03-12" in refused.value.message
    await state_occupancy(
        db, business_id=tills.ids["hotel"], day=DAY, percent=Decimal(0), actor="li", now=CLOSED
    )
    assert [amount for _, _, amount in await amounts(db)] == [Decimal(5), Decimal("0.8")]


async def test_a_capture_is_for_what_its_hold_was_for(db: AsyncConnection) -> None:
    tills = await group(db, AWARDS)
    await tills.issue("retail", 1, 1000, DAY)
    at = {"occurred_at": noon(DAY), "business_date": DAY, "now": noon(DAY)}
    who = {"business_id": tills.ids["hotel"], "member_id": 1}
    held = await hold(
        db, **who, **at, points=300, ttl_seconds=60, idempotency_key="h", today=DAY,
        purpose=Purpose(category="spa"),
    )  # fmt: skip
    await capture(db, **who, **at, hold_id=held.tx_id, points=100, idempotency_key="c-1")
    await capture(db, **who, **at, hold_id=held.tx_id, idempotency_key="c-2")
    assert await amounts(db) == [
        (100, Decimal("0.006"), Decimal("0.6")), (200, Decimal("0.006"), Decimal("1.2")),
    ]  # fmt: skip


async def test_a_key_is_for_one_purpose(db: AsyncConnection) -> None:
    tills = await group(db, AWARDS)
    await tills.issue("retail", 1, 1000, DAY)
    asked = {
        "business_id": tills.ids["hotel"], "member_id": 1, "points": 10, "idempotency_key": "k",
        "occurred_at": noon(DAY), "business_date": DAY, "today": DAY, "now": noon(DAY),
    }  # fmt: skip
    for _ in range(2):
        answer = await redeem(db, **asked, purpose=Purpose(award="night"))
        assert answer.outcome is Outcome.POSTED
    for other in (None, Purpose(), Purpose(award="drink"), Purpose(award="night", category="spa")):
        with pytest.raises(Conflict):
            await redeem(db, **asked, purpose=other)
    with pytest.raises(Malformed) as refused:
        await redeem(db, **asked, purpose=Purpose(category="Spa & Sauna"))
    assert refused.value.field == "category"


async def test_a_version_keeps_its_rates(db: AsyncConnection) -> None:
    await group(db, AWARDS)
    await group(db, AWARDS)
    assert await db.scalar(text("SELECT count(*) FROM agreement_rate")) == 6
    with pytest.raises(Conflict) as refused:
        await group(db, ruled({"award": "night", "amount": "99"}))
    assert refused.value.field == "rates"


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        ({"award": "a", "category": "b", "amount": 1}, "one of award"),
        ({"rate_per_point": 1}, "one of award"),
        ({"award": "a"}, "rate_per_point or amount"),
        ({"award": "a", "amount": 1, "rate_per_point": 1}, "rate_per_point or amount"),
        ({"category": "a", "amount": 1}, "whole redemption of an award"),
        ({"award": "A b", "amount": 1}, "pattern"),
        ({"from_percent": 101, "rate_per_point": 1}, "less than or equal"),
    ],
)
def test_a_rate_that_means_nothing_is_refused(rate: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        AgreementRateConfig.model_validate(rate)
