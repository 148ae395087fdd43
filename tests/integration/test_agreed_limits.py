"""Caps, credit limits and prefunds: what bounds an agreement, to the cent."""

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.ledger.codes import Outcome
from hub.points.hold import hold
from hub.points.redeem import redeem
from hub.points.stopped import stopped_at
from hub.programme.agree import AgreementConfig, AgreementTaxConfig
from hub.programme.queries import business_by_code
from hub.settlement.close_period import close
from hub.settlement.codes import LineKind
from hub.settlement.credit import standings
from hub.settlement.documents.paper import write_pdf
from hub.settlement.open_period import open_period
from hub.settlement.queries import totals
from hub.settlement.verify import CHECKS, PERIODS, check
from hub.settlement.watch_credit import watch_credit
from tests.support.settlement import Tills, make_group, noon

MARCH, APRIL, MAY = date(2026, 3, 12), date(2026, 4, 12), date(2026, 5, 12)


def agreed(**more: Any) -> AgreementConfig:
    facts = {
        "issuer": "retail", "acceptor": "hotel", "effective_from": date(2026, 1, 1),
        "rate_per_point": Decimal("0.01"), "currency": "CNY",
    }  # fmt: skip
    return AgreementConfig.model_validate({**facts, **more})


async def group(db: AsyncConnection, config: AgreementConfig) -> Tills:
    return Tills(db, await make_group(db, [config]))


async def closed(db: AsyncConnection, day: date) -> dict[LineKind, tuple[int, Decimal]]:
    """Close the month of a day; return points and exact amount of each kind of line."""
    at = noon(day + timedelta(days=40))
    period = await open_period(db, code=f"{day:%Y-%m}", now=at)
    await close(db, period_id=period.period_id, now=at)
    assert [name for name in CHECKS if await check(db, name) is not None] == []
    assert await check(db, PERIODS) is None
    found = (await totals(db, period_ids=[period.period_id]))[period.period_id]
    return {LineKind(one.kind): (one.points, one.exact) for one in found}


@pytest.mark.parametrize(
    ("cap", "expected"),
    [
        ({"cap_amount": "20"}, (0, Decimal(-10))),
        ({"cap_points": 2000}, (-1000, Decimal(-10))),
        ({"cap_points": 2500, "cap_amount": "12.3456"}, (-500, Decimal("-17.6544"))),
        ({"cap_points": 1, "cap_amount": "30"}, (-2999, Decimal("-29.99"))),
        ({"cap_points": 0}, (-3000, Decimal(-30))),
        ({"cap_amount": "30"}, None),
        ({"cap_points": 3000}, None),
    ],
)
async def test_what_is_above_a_cap_comes_off_again(
    db: AsyncConnection, cap: dict[str, Any], expected: tuple[int, Decimal] | None
) -> None:
    tills = await group(db, agreed(**cap))
    await tills.issue("retail", 1, 5000, MARCH)
    for points in (1000, 2000):
        await tills.redeem("hotel", 1, points, MARCH)
    found = await closed(db, MARCH)
    assert found[LineKind.REDEMPTION] == (3000, Decimal(30))
    assert found.get(LineKind.CAP) == expected


async def test_a_cap_is_for_each_period_and_taxed_as_what_it_cuts(db: AsyncConnection) -> None:
    tax = AgreementTaxConfig(kind="redemption", code="VAT6", rate=Decimal("0.06"))
    tills = await group(db, agreed(cap_amount="20", taxes=(tax,)))
    await tills.issue("retail", 1, 5000, MARCH)
    await tills.redeem("hotel", 1, 3000, MARCH)
    await tills.redeem("hotel", 1, 1500, APRIL)
    assert (await closed(db, MARCH))[LineKind.CAP] == (0, Decimal(-10))
    assert LineKind.CAP not in await closed(db, APRIL)
    gross = await db.scalars(text("SELECT gross_minor FROM settlement_gross ORDER BY 1"))
    assert list(gross) == [-1060, 1590, 3180]


HYBRID = {"basis": "hybrid", "prefund_per_point": "0.004"}


async def funds(db: AsyncConnection) -> list[tuple[Decimal, ...]]:
    rows = await db.execute(
        text("SELECT opening, paid, drawn, closing FROM settlement_fund ORDER BY period_id")
    )
    return [tuple(row) for row in rows]


async def test_redemptions_draw_on_what_was_paid_ahead(db: AsyncConnection) -> None:
    """10,000 points prefund 40.00; 30.00 is drawn, then 10.00 of 20.00; 6.00 given back refills."""
    tills = await group(db, agreed(**HYBRID))
    await tills.issue("retail", 1, 10_000, MARCH)
    first = await tills.redeem("hotel", 1, 3000, MARCH)
    assert await closed(db, MARCH) == {
        LineKind.PREFUND: (10_000, Decimal(40)),
        LineKind.REDEMPTION: (3000, Decimal(30)),
        LineKind.PREFUND_DRAW: (0, Decimal(-30)),
    }
    await tills.redeem("hotel", 1, 2000, APRIL)
    assert await closed(db, APRIL) == {
        LineKind.REDEMPTION: (2000, Decimal(20)),
        LineKind.PREFUND_DRAW: (0, Decimal(-10)),
    }
    await tills.restore("hotel", 1, first, 600, MAY)
    assert await closed(db, MAY) == {
        LineKind.REDEMPTION: (-600, Decimal(-6)),
        LineKind.PREFUND_DRAW: (0, Decimal(6)),
    }
    assert await funds(db) == [(0, 40, 30, 10), (10, 0, 10, 0), (0, 0, -6, 6)]
    bodies = await db.scalars(text("SELECT body FROM statement ORDER BY period_id, business_id"))
    body = bodies.all()[0]
    assert json.loads(body)["funds"] == [
        {"counterparty": "hotel", "currency": "CNY", "opening": "0.00", "paid": "40.00",
         "drawn": "30.00", "closing": "10.00"},
    ]  # fmt: skip
    for language in ("en", "zh"):
        assert write_pdf(body, signature=None, language=language).startswith(b"%PDF")


async def test_points_taken_back_after_their_prefund_was_drawn_are_owed_after_all(
    db: AsyncConnection,
) -> None:
    """1,000 points prefund 4.00, which is drawn; then all are taken back: 4.00 back, 4.00 owed."""
    tills = await group(db, agreed(**HYBRID))
    await tills.issue("retail", 1, 1000, MARCH)
    other = await tills.issue("retail", 1, 1000, MARCH)
    await tills.redeem("hotel", 1, 1000, MARCH)
    await closed(db, MARCH)
    await tills.claw_back("retail", 1, other, 1000, APRIL)
    assert await closed(db, APRIL) == {
        LineKind.PREFUND: (-1000, Decimal(-4)),
        LineKind.PREFUND_DRAW: (0, Decimal(4)),
    }
    assert await funds(db) == [(0, 8, 8, 0), (0, -4, -4, 0)]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    months=st.lists(
        st.tuples(st.integers(1, 900), st.integers(0, 900), st.integers(0, 300)),
        min_size=1,
        max_size=4,
    ),
    price=st.integers(1, 20),
)
async def test_a_fund_is_never_below_nothing_and_nothing_is_paid_twice(
    db: AsyncConnection, months: list[tuple[int, int, int]], price: int
) -> None:
    outer = await db.begin_nested()
    tills = await group(db, agreed(**{**HYBRID, "prefund_per_point": f"0.{price:03}"}))
    left, owed = 0, Decimal(0)
    for number, (earned, spent, back) in enumerate(months):
        day = date(2026, 3 + number, 12)
        await tills.issue("retail", 1, earned, day)
        left += earned
        if some := min(spent, left):
            redemption = await tills.redeem("hotel", 1, some, day)
            left -= some
            if given := min(back, some):
                await tills.restore("hotel", 1, redemption, given, day)
                left += given
        owed += sum(amount for _, amount in (await closed(db, day)).values())
    found = await funds(db)
    assert all(closing >= 0 for *_, closing in found)
    spent_in_all = sum(earned for earned, _, _ in months) - left
    # Whatever was paid ahead, in the end what was redeemed is paid, and what is left in the fund.
    assert owed == spent_in_all * Decimal("0.01") + found[-1][3]
    await outer.rollback()


async def test_a_limit_is_watched_and_stops_what_goes_beyond(db: AsyncConnection) -> None:
    tills = await group(db, agreed(credit_limit="10", on_limit="stop"))
    hotel = tills.ids["hotel"]
    await tills.issue("hotel", 1, 50, MARCH, expires_on=date(2027, 1, 1))
    await tills.issue("retail", 1, 5000, MARCH, expires_on=date(2027, 6, 30))

    async def look() -> tuple[str, Decimal]:
        await db.execute(text("SELECT ledger_rebuild_daily()"))
        await watch_credit(db, today=MARCH, now=noon(MARCH))
        (one,) = await standings(db)
        return one.state, one.exposure

    assert await look() == ("fine", 0)
    await tills.redeem("hotel", 1, 849, MARCH)  # 50 of the hotel's own, and 799
    assert await look() == ("fine", Decimal("7.99"))
    await tills.redeem("hotel", 1, 1, MARCH)
    assert await look() == ("alert", Decimal(8))
    last = await tills.redeem("hotel", 1, 200, MARCH)
    assert await look() == ("stopped", Decimal(10))
    assert await stopped_at(db, business_id=hotel) == (tills.ids["retail"],)
    assert (await business_by_code(db, "hotel")).stopped_issuers == (tills.ids["retail"],)
    await tills.issue("hotel", 1, 30, MARCH, expires_on=date(2027, 1, 1))
    asked: dict[str, Any] = {
        "business_id": hotel, "member_id": 1, "occurred_at": noon(MARCH), "business_date": MARCH,
        "today": MARCH, "now": noon(MARCH), "stopped_issuers": (tills.ids["retail"],),
    }  # fmt: skip
    with pytest.raises(Rejected, match="30 points can be spent here") as refused:
        await redeem(db, **asked, points=31, idempotency_key="too-many")
    assert refused.value.facts["nearest_points"] == 30
    with pytest.raises(Rejected):
        await hold(db, **asked, points=31, ttl_seconds=60, idempotency_key="too-many-held")
    answer = await redeem(db, **asked, points=30, idempotency_key="own")
    assert answer.outcome is Outcome.POSTED
    replay = await redeem(db, **asked, points=30, idempotency_key="own")
    assert replay.replayed
    # Closed, it is owed all the same; what is given back, or paid, frees it.
    await closed(db, MARCH)
    assert await look() == ("stopped", Decimal(10))
    await tills.restore("hotel", 1, last, 200, date(2026, 4, 2))
    assert await look() == ("alert", Decimal(8))


async def test_a_limit_that_only_alerts_stops_nobody(db: AsyncConnection) -> None:
    tills = await group(db, agreed(credit_limit="10", alert_percent=50))
    await tills.issue("retail", 1, 5000, MARCH)
    await tills.redeem("hotel", 1, 2000, MARCH)
    await db.execute(text("SELECT ledger_rebuild_daily()"))
    changed = await watch_credit(db, today=MARCH, now=noon(MARCH))
    assert [(one.state, one.exposure) for one in changed] == [("over", Decimal(20))]
    assert await watch_credit(db, today=MARCH, now=noon(MARCH) + timedelta(minutes=1)) == []
    assert await stopped_at(db, business_id=tills.ids["hotel"]) == ()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"basis": "hybrid"}, "prefund_per_point"),
        ({"prefund_per_point": "0.01"}, "prefund_per_point"),
        ({**HYBRID, "effective_from": date(2026, 1, 2)}, "first of a month"),
        ({"cap_amount": "-1"}, "greater than or equal"),
        ({"credit_limit": "0"}, "greater than 0"),
    ],
)
def test_bounds_that_mean_nothing_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        agreed(**wrong)
