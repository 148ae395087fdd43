"""Random months in the books: the liability's account follows the roll-forward, the group nets to
zero, and what is payable is what was settled.
"""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.journals.eliminate import eliminate
from hub.accounting.movements import MovementKind
from hub.accounting.recognise import recognise
from hub.programme.chart import Purpose
from hub.settlement.queries import totals
from tests.property.test_random_months import FIRST, Months
from tests.support.accounting import account_for, closed, expect, make_selling_group
from tests.support.journals import booked, give_charts, posted
from tests.support.settlement import KINDS, agreement

MONTHS, STEPS = 3, 30


@pytest.mark.parametrize("seed", range(6))
async def test_books_follow_roll_forward_and_settlement(db: AsyncConnection, seed: int) -> None:
    pairs = [(i, a) for i in KINDS for a in KINDS if i != a]
    # Rates that leave fractions of a cent.
    ids = await make_selling_group(
        db, [agreement(i, a, "0.00777") for i, a in pairs], points_per_unit="1.1", months=2
    )
    town = Months(db, ids, seed)
    for code, business_id in ids.items():
        role = "agent" if code == "dining" else "principal"
        await account_for(db, business_id, value="0.0131", since=FIRST, role=role)
        await expect(db, business_id, "0.7", since=FIRST)
    await give_charts(db, *(f"{code}-ltd" for code in ids))
    for number in range(1, MONTHS + 1):
        first = date(2026, number, 1)
        if number > 1:
            rate = f"{town.dice.randint(1, 100) / 100:.2f}"
            await expect(db, town.dice.choice(list(ids.values())), rate, since=first)
        for n in sorted(town.dice.randint(0, 27) for _ in range(STEPS)):
            await town.step(first + timedelta(days=n))
        at = datetime(2026, number + 1, 1, tzinfo=UTC)
        period = await closed(db, f"2026-{number:02}", at)
        rolls = await recognise(db, period_id=period.period_id, actor="wei", now=at)
        journals = await posted(db, period.period_id, at)
        gross = (await totals(db, period_ids=[period.period_id]))[period.period_id]
        owed = sum(total.gross_minor for total in gross)
        sums = {entity: booked(journal) for entity, journal in journals.items()}
        assert -sum(s.get(Purpose.PAYABLE, 0) for s in sums.values()) == owed
        assert sum(s.get(Purpose.RECEIVABLE, 0) for s in sums.values()) == owed
        for code, business_id in ids.items():
            change = sum(
                roll.of(MovementKind.CLOSING).minor - roll.of(MovementKind.OPENING).minor
                for roll in rolls
                if roll.owner_id == business_id
            )
            assert -sums.get(f"{code}-ltd", {}).get(Purpose.CONTRACT_LIABILITY, 0) == change
        for sheet in eliminate(list(journals.values())):
            assert sum(row.debit_minor - row.credit_minor for row in sheet.rows) == 0
