"""What finance looks at beside the roll-forward: ageing, sensitivity, history."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.accounting.ageing import Aged, ageing
from hub.accounting.approve_estimate import approve_estimate
from hub.accounting.history import history
from hub.accounting.movements import MovementKind
from hub.accounting.propose_from_history import propose_from_history
from hub.accounting.sensitivity import sensitivity
from hub.errors import Malformed, Rejected
from hub.ledger.rollup import roll_up
from tests.integration.test_recognition import SALES_DAY, end_of, month, shops
from tests.support.settlement import noon


async def test_points_are_aged_by_the_months_to_their_end(db: AsyncConnection) -> None:
    till = await shops(db, rate="0.5")
    retail = till.ids["retail"]
    endings = {100: date(2026, 2, 28), 200: date(2026, 3, 1), 300: date(2029, 1, 1), 400: None}
    for n, (points, ends) in enumerate(endings.items()):
        await till.bring("retail", 1 + n, points, SALES_DAY, expires_on=ends)
    await till.redeem("retail", 4, 250, date(2026, 1, 20))
    roll = await month(till, 1)
    owed = roll.of(MovementKind.CLOSING).amount
    assert owed == Decimal("2.0")  # 500 expected at 0.008, of which 250 are redeemed
    aged = await ageing(db, on=date(2026, 2, 1))
    assert [(a.within_months, a.points) for a in aged] == [
        (1, 100),
        (3, 200),
        (0, 300),
        (None, 150),
    ]
    assert [a.amount for a in aged] == [round(owed * a.points / 750, 12) for a in aged]
    await till.bring("retail", 9, 50, date(2026, 2, 1), expires_on=date(2026, 2, 2))
    assert (await ageing(db, on=date(2026, 2, 1)))[0] == Aged(
        issuer_id=retail, unit=1, within_months=1, points=150, amount=None
    )


async def test_sensitivity_says_what_other_estimates_would_leave_owed(db: AsyncConnection) -> None:
    till = await shops(db)
    await till.sell("retail", 1, 99_000_00, SALES_DAY)
    await till.redeem("hotel", 1, 39_600, date(2026, 1, 20))
    roll = await month(till, 1)
    paid = roll.of(MovementKind.DEFERRED).amount
    (told,) = await sensitivity(db, period_id=roll.period_id, by=Decimal("0.3"))
    assert told.liability == roll.of(MovementKind.CLOSING).amount
    assert round(told.if_fewer, 6) == round(paid * Decimal("0.2"), 6)  # 39,600 of 49,500
    assert round(told.if_more, 6) == round(paid * Decimal("0.6"), 6)  # of 99,000: all of them
    (drastic,) = await sensitivity(db, period_id=roll.period_id, by=Decimal("0.9"))
    assert drastic.if_fewer == 0
    for by in ("0", "1", "NaN"):
        with pytest.raises(Malformed):
            await sensitivity(db, period_id=roll.period_id, by=Decimal(by))


async def test_estimates_are_proposed_from_history_and_approved_by_another(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as db:
        till = await shops(db)
        retail = till.ids["retail"]
        with pytest.raises(Rejected, match="state an estimate"):
            await propose_from_history(
                db,
                issuer_id=retail,
                effective_from=date(2026, 2, 1),
                maker="mei",
                now=noon(SALES_DAY),
            )
        await till.sell("retail", 1, 1_000_00, SALES_DAY)
        await till.redeem("hotel", 1, 200, date(2026, 1, 20))
        redemption = await till.redeem("hotel", 1, 400, date(2026, 2, 20))
        await till.restore("hotel", 1, redemption, 100, date(2026, 2, 21))
        await till.sell("retail", 2, 1_000_00, date(2026, 2, 5))
        await till.redeem("hotel", 2, 400, date(2026, 2, 20))
    async with engine.begin() as db:
        await roll_up(db)
    async with engine.begin() as db:
        found = await history(db, issuer_id=retail, unit=1, on=date(2026, 3, 1))
        assert [(one.cohort.month, one.seen, one.rate) for one in found] == [
            (1, Decimal("0.5"), Decimal("0.5")),
            (
                2,
                Decimal("0.4"),
                Decimal("0.7"),
            ),  # and 0.3, as January's points in their second month
        ]
        facts = {"issuer_id": retail, "effective_from": date(2026, 3, 1), "maker": "mei"}
        made = await propose_from_history(db, now=noon(SALES_DAY), **facts)
        assert await propose_from_history(db, now=noon(SALES_DAY), **facts) == made
        assert [(one.cohort, one.rate, one.method) for one in made] == [
            (one.cohort, one.rate, "history") for one in found
        ]
        assert made[1].low is not None
        assert made[1].low < made[1].rate < (made[1].high or 0)
        await approve_estimate(
            db, estimate_id=made[1].estimate_id, checker="wei", now=end_of(2026, 3)
        )
