"""Random months of points sold at issue: what is paid for is what is owed, and no lot is settled
under both bases, whatever becomes of it.
"""

import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.flows import cohort_flows
from hub.accounting.journals.eliminate import eliminate
from hub.accounting.movements import MovementKind
from hub.accounting.recognise import recognise
from hub.accounting.sales import sales, sold
from hub.ledger.verify import verify
from hub.programme.chart import Purpose
from hub.settlement.queries import totals
from hub.settlement.verify import CHECKS, PERIODS, check
from tests.property.test_random_months import FIRST, Months, ties
from tests.support.accounting import account_for, closed, expect, make_selling_group
from tests.support.journals import booked, give_charts, posted
from tests.support.settlement import COMPANY, KINDS, agreement, sale
from tests.support.turmoil import Turmoil

SEEDS = range(int(os.environ.get("HUB_SALES_EXAMPLES", "6")))
MONTHS, STEPS = 5, 40
K = MovementKind
PAID_FOR = (K.DEFERRED, K.BROUGHT_IN, K.CLAWBACK, K.ADJUSTED)
# Of the lots of one issuer and month, by which of the two their redemptions were settled.
TORN = text("""
SELECT count(*) FROM (
  SELECT o.issuer_id, date_trunc('month', d.issued_on) AS cohort
  FROM obligation o JOIN entry e USING (member_id, tx_id, seq)
  CROSS JOIN LATERAL (SELECT ledger_issued_elsewhere(e.member_id, e.lot_id) AS issued_on) d
  WHERE o.kind = 1 GROUP BY 1, 2 HAVING count(DISTINCT (o.debtor_id)) > 1) AS torn
""")


async def group(db: AsyncConnection) -> dict[str, int]:
    """Retail buys from the start, hotel from March on with its breakage back, dining never."""
    price = sale("retail", "0.0113", since=FIRST)
    ids = await make_selling_group(
        db,
        [
            price,
            sale("retail", "0.0127", since=date(2026, 2, 17)),
            sale("hotel", "0.0091", since=date(2026, 3, 1), breakage_owner="issuer"),
            *(agreement(COMPANY, code, "0.00777") for code in KINDS),
            *(agreement(i, a, "0.0069") for i in KINDS for a in KINDS if i != a),
        ],
        points_per_unit="1.1",
        months=2,
        codes=(*KINDS, COMPANY),
    )
    for code in KINDS:
        role = "agent" if code == "hotel" else "principal"
        await account_for(db, ids[code], value="0.0131", since=FIRST, role=role)
        await expect(db, ids[code], "0.7", since=FIRST)
    await give_charts(db, *(f"{code}-ltd" for code in ids))
    return ids


async def what_is_paid_for_is_what_moved(db: AsyncConnection, period_id: int) -> None:
    """Per cohort that was sold, the period's lines are of the very points of its flows."""
    agreed = await sales(db)
    told = {
        (row.issuer_id, row.unit, row.cohort, K(row.kind)): row.points
        for row in await db.execute(
            text("SELECT * FROM period_sale WHERE period_id = :id"), {"id": period_id}
        )
    }
    moved = {}
    for (issuer_id, unit, cohort), flow in (await cohort_flows(db, period_id=period_id)).items():
        sale_of = sold(agreed, issuer_id=issuer_id, cohort=cohort)
        for kind, points in flow.points.items():
            if sale_of and (kind in PAID_FOR or (kind is K.EXPIRED and sale_of.refundable)):
                moved[issuer_id, unit, cohort, kind] = points
    assert {key: n for key, n in told.items() if n} == {key: n for key, n in moved.items() if n}


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_months_of_points_that_are_sold(db: AsyncConnection, seed: int) -> None:
    ids = await group(db)
    town = Months(db, {code: ids[code] for code in KINDS}, seed)
    before = {}
    for number in range(1, MONTHS + 1):
        first = date(2026, number, 1)
        if number > 1:
            rate = Decimal(town.dice.randint(1, 100)) / 100
            await expect(db, ids[town.dice.choice(list(KINDS))], str(rate), since=first)
        for n in sorted(town.dice.randint(0, 27) for _ in range(STEPS)):
            late = number > 1 and town.dice.random() < 0.1
            await town.step(first + timedelta(days=n - 31 if late else n))
        at = datetime(2026, number + 1, 1, tzinfo=UTC)
        period = await closed(db, f"2026-{number:02}", at)
        await what_is_paid_for_is_what_moved(db, period.period_id)
        rolls = await recognise(db, period_id=period.period_id, actor="wei", now=at)
        for roll in rolls:
            ties(roll, before.get(roll.owner_id))
        before = {roll.owner_id: roll for roll in rolls}
        gross = (await totals(db, period_ids=[period.period_id]))[period.period_id]
        for roll in rolls:
            partner = roll.of(K.REDEEMED).partner_points + roll.of(K.REINSTATED).partner_points
            assert -partner == sum(
                t.points for t in gross if t.kind == 1 and t.debtor_id == roll.owner_id
            )
        journals = await posted(db, period.period_id, at)
        for code, business_id in ids.items():
            change = sum(
                roll.of(K.CLOSING).minor - roll.of(K.OPENING).minor
                for roll in rolls
                if roll.owner_id == business_id
            )
            sums = booked(journals[f"{code}-ltd"])
            assert -sums.get(Purpose.CONTRACT_LIABILITY, 0) == change
            # A cent for each total and each movement, for each issuer.
            assert abs(sums.get(Purpose.POINTS_SOLD, 0)) <= 8
        for sheet in eliminate(list(journals.values())):
            assert sum(row.debit_minor - row.credit_minor for row in sheet.rows) == 0
    assert [name for name in (PERIODS, *CHECKS) if await check(db, name)] == []
    assert await db.scalar(TORN) == 0
    assert await verify(db) == []


# The last two, and the first, give what had expired for what was spent of another's by mistake.
@pytest.mark.parametrize("seed", [*range(4), 32, 58])
async def test_points_that_are_sold_stay_so_when_members_merge_and_split(
    db: AsyncConnection, seed: int
) -> None:
    town = Turmoil(seed, means=False, today=date(2026, 10, 29))
    await town.found(db)
    await db.execute(
        text("""
          INSERT INTO business (business_id, code, name, kind, legal_entity_id, currency, country,
            time_zone) OVERRIDING SYSTEM VALUE
          VALUES (4, 'club', 'Club', 'programme', 1, 'CNY', 'CN', 'UTC')""")
    )
    # One shop buys all its points, one those of November on, at prices of their own.
    await db.execute(
        text("""
          INSERT INTO agreement (issuer_id, acceptor_id, effective_from, basis, rate_per_point,
            breakage_owner, currency)
          SELECT issuer, 4, since, 'at_issue', price, breakage, 'CNY'
          FROM (VALUES (1, date '2026-01-01', 0.011, 'issuer'),
            (2, date '2026-11-01', 0.013, 'programme')) AS v (issuer, since, price, breakage)""")
    )
    await db.execute(
        text("""
          INSERT INTO agreement (issuer_id, acceptor_id, effective_from, rate_per_point, currency)
          SELECT i.business_id, a.business_id, '2026-01-01', 0.008, 'CNY'
          FROM business i JOIN business a ON i.business_id <> a.business_id
          WHERE a.kind <> 'programme'""")
    )
    for _ in range(200):
        await town.step(db)
    for business_id in (1, 2, 3):
        await account_for(db, business_id, value="0.01", since=FIRST)
        await expect(db, business_id, "0.8", since=FIRST)
    at = datetime(2027, 2, 1, tzinfo=UTC)
    for code in ("2026-10", "2026-11", "2026-12"):
        period = await closed(db, code, at)
        await what_is_paid_for_is_what_moved(db, period.period_id)
        for roll in await recognise(db, period_id=period.period_id, actor="wei", now=at):
            ties(roll, None)
    assert [name for name in (PERIODS, *CHECKS) if await check(db, name)] == []
    assert await db.scalar(TORN) == 0
