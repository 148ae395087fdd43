"""Disputed months in the books: what is payable is paid, or it is what is still held back."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.journals.eliminate import eliminate
from hub.accounting.recognise import recognise
from hub.programme.chart import Purpose
from hub.settlement.disputes import DisputeFilter, disputes
from hub.settlement.dues import dues
from hub.settlement.open_dispute import open_dispute
from hub.settlement.queries import obligations
from hub.settlement.resolve_dispute import resolve_dispute
from tests.property.test_random_months import FIRST, Months
from tests.support.accounting import account_for, closed, expect, make_selling_group
from tests.support.journals import booked, give_charts, posted
from tests.support.settlement import KINDS, taxed_agreement

MONTHS, STEPS = 4, 25


async def _dispute_some(town: Months, period_id: int, at: datetime) -> None:
    """Dispute some lines, each on its own; what follows from a dispute is let be."""
    for line in await obligations(town.db, period_id=period_id, first=1000):
        if line.account_id is not None and town.dice.random() < 0.6:
            await open_dispute(
                town.db,
                period_id=period_id,
                line_ids=[line.line_id],
                business_id=line.debtor_id,
                reason="doubtful",
                actor="mei",
                idempotency_key=f"{line.line_id}",
                now=at,
            )


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_payable_is_paid_or_held_back(db: AsyncConnection, seed: int) -> None:
    agreed = [
        taxed_agreement(i, a, "0.00777", included=(None, False, True)[n % 3])
        for n, (i, a) in enumerate((i, a) for i in KINDS for a in KINDS if i != a)
    ]
    ids = await make_selling_group(db, agreed, points_per_unit="1.1", months=2)
    town = Months(db, ids, seed)
    for business_id in ids.values():
        await account_for(db, business_id, value="0.0131", since=FIRST, role="principal")
        await expect(db, business_id, "0.7", since=FIRST)
    await give_charts(db, *(f"{code}-ltd" for code in ids))
    payable = paid = 0
    for number in range(1, MONTHS + 1):
        first = date(2026, number, 1)
        for n in sorted(town.dice.randint(0, 27) for _ in range(STEPS if number < MONTHS else 0)):
            await town.step(first + timedelta(days=n))
        at = datetime(2026, number + 1, 1, tzinfo=UTC)
        period = await closed(db, f"2026-{number:02}", at)
        await recognise(db, period_id=period.period_id, actor="wei", now=at)
        await _dispute_some(town, period.period_id, at)
        journals = await posted(db, period.period_id, at)
        sums = [booked(journal) for journal in journals.values()]
        payable -= sum(s.get(Purpose.PAYABLE, 0) for s in sums)
        assert sum(s.get(Purpose.RECEIVABLE, 0) for s in sums) == -sum(
            s.get(Purpose.PAYABLE, 0) for s in sums
        )
        paid += sum(
            due.due_minor
            for due in (await dues(db, period_ids=[period.period_id]))[period.period_id]
        )
        held = await disputes(db, only=DisputeFilter(states=("open",)), first=1000)
        assert payable - paid == sum(one.held_minor or 0 for one in held)
        for sheet in eliminate(list(journals.values())):
            assert sum(row.debit_minor - row.credit_minor for row in sheet.rows) == 0
        for one in held:
            await resolve_dispute(
                db,
                dispute_id=one.dispute_id,
                upheld=town.dice.random() < 0.5,
                reason="seen",
                actor="wei",
                now=at,
            )
    assert payable == paid
    assert await disputes(db, only=DisputeFilter(states=("upheld",)), first=1)
