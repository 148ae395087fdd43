"""Random months with disputes at random moments: all that was owed is in the end due or upheld."""

import os
from collections import defaultdict
from datetime import date
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.settlement.approve_period import approve_period
from hub.settlement.close_period import close
from hub.settlement.codes import LineKind
from hub.settlement.disputes import DisputeFilter, disputes
from hub.settlement.dues import dues
from hub.settlement.open_dispute import open_dispute
from hub.settlement.open_period import open_period
from hub.settlement.queries import obligations, totals
from hub.settlement.resolve_dispute import resolve_dispute
from hub.settlement.total import split
from hub.settlement.verify import CHECKS, DUES, PERIODS, check
from hub.settlement.withdraw_dispute import withdraw_dispute
from tests.support.settlement import KINDS, Tills, make_group, noon, taxed_agreement

SEEDS = range(int(os.environ.get("HUB_DISPUTES_EXAMPLES", "6")))
MONTHS, STEPS = 4, 12
RATES = ("0.00333", "0.008", "0.0071")
TAXES = (None, False, True)


class Months:
    """Trades, disputes and decides at random, on days that go on."""

    def __init__(self, db: AsyncConnection, ids: dict[str, int], seed: int) -> None:
        self.db, self.ids, self.dice = db, ids, Random(seed)
        self.tills = Tills(db, ids)
        self.closed: list[int] = []
        self.drafts: list[int] = []
        self.day = date(2026, 1, 1)
        self.number = 0

    async def trade(self) -> None:
        spent: list[tuple[str, int, int, int]] = []
        for _ in range(STEPS):
            code, member = self.dice.choice(list(KINDS)), self.dice.randint(1, 3)
            points = self.dice.randint(1, 400)
            tx_id = await self.tills.redeem(code, member, points, self.day)
            spent.append((code, member, tx_id, points))
        code, member, tx_id, points = self.dice.choice(spent)
        await self.tills.restore(code, member, tx_id, points, self.day)

    async def dispute(self) -> None:
        if not self.closed:
            return
        period_id = self.dice.choice(self.closed[-2:])
        lines = await obligations(self.db, period_id=period_id, first=1000)
        if not lines:
            return
        one = self.dice.choice(lines)
        alike = [
            line.line_id
            for line in lines
            if (line.debtor_id, line.creditor_id) == (one.debtor_id, one.creditor_id)
        ]
        self.number += 1
        try:
            await open_dispute(
                self.db,
                period_id=period_id,
                line_ids=self.dice.sample(alike, self.dice.randint(1, len(alike))),
                business_id=self.dice.choice([one.debtor_id, one.creditor_id]),
                reason="doubtful",
                actor="opener",
                idempotency_key=f"{self.number}",
                now=noon(self.day),
            )
        except Rejected as no:
            assert "disputed already" in no.message or "follows from dispute" in no.message  # noqa: PT017

    async def decide(self, *, all_of_them: bool = False) -> None:
        for one in await disputes(self.db, only=DisputeFilter(states=("open",)), first=1000):
            if not all_of_them and self.dice.random() < 0.5:
                continue
            facts = {"dispute_id": one.dispute_id, "reason": "seen", "now": noon(self.day)}
            if self.dice.random() < 0.2:
                await withdraw_dispute(
                    self.db, business_id=one.business_id, actor="opener", **facts
                )  # type: ignore[arg-type]
            else:
                upheld = self.dice.random() < 0.5
                await resolve_dispute(self.db, upheld=upheld, actor="wei", **facts)  # type: ignore[arg-type]

    async def close(self, code: str) -> None:
        period = await open_period(self.db, code=code, now=noon(self.day))
        await close(self.db, period_id=period.period_id, now=noon(self.day))
        self.closed.append(period.period_id)
        self.drafts.append(period.period_id)

    async def approve(self, period_id: int) -> None:
        await approve_period(self.db, period_id=period_id, actor="ann", now=noon(self.day))
        self.drafts.remove(period_id)
        await self.as_if_the_lines_were_not_there(period_id)

    async def as_if_the_lines_were_not_there(self, period_id: int) -> None:
        """What is due is what the lines that nobody disputes come to, rounded as totals are."""
        rows = await self.db.execute(
            text("""
              SELECT debtor_id, creditor_id, currency, tax_rate, tax_included, sum(amount) AS exact
              FROM obligation o WHERE period_id = :id AND NOT EXISTS (SELECT FROM dispute_line l
                JOIN dispute d USING (dispute_id) JOIN dispute_held USING (dispute_id)
                WHERE l.line_id = o.line_id)
              GROUP BY debtor_id, creditor_id, currency, kind, tax_code, tax_rate, tax_included"""),
            {"id": period_id},
        )
        left: dict[tuple[int, int], int] = defaultdict(int)
        for row in rows:
            net, tax = split(row.exact, row.currency, rate=row.tax_rate, included=row.tax_included)
            left[row.debtor_id, row.creditor_id] += net + tax
        for due in (await dues(self.db, period_ids=[period_id]))[period_id]:
            assert due.due_minor == left[due.debtor_id, due.creditor_id]

    async def proven(self) -> None:
        for name in (PERIODS, DUES, *CHECKS):
            assert await check(self.db, name) is None

    async def sums(self) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
        """What pairs ever owed each other, corrections included, and what was due of it."""
        owed: dict[tuple[int, int], int] = defaultdict(int)
        paid: dict[tuple[int, int], int] = defaultdict(int)
        for of_period in (await totals(self.db, period_ids=self.closed)).values():
            for total in of_period:
                if total.kind != LineKind.CARRIED:
                    owed[total.debtor_id, total.creditor_id] += total.gross_minor
        for of in (await dues(self.db, period_ids=self.closed)).values():
            for due in of:
                paid[due.debtor_id, due.creditor_id] += due.due_minor
        return owed, paid


@pytest.mark.parametrize("seed", SEEDS)
async def test_all_that_was_owed_is_due_or_upheld(db: AsyncConnection, seed: int) -> None:
    dice = Random(seed)
    pairs = [(i, a) for i in KINDS for a in KINDS if i != a]
    agreed = [
        taxed_agreement(i, a, dice.choice(RATES), included=dice.choice(TAXES)) for i, a in pairs
    ]
    months = Months(db, await make_group(db, agreed), seed)
    for member, code in enumerate(KINDS, start=1):
        await months.tills.issue(code, member, 1_000_000, months.day)
    for month in range(1, MONTHS + 1):
        months.day = date(2026, month, 9)
        await months.trade()
        months.day = date(2026, month, 28)
        for step in dice.choices((months.dispute, months.decide), k=4):
            await step()
        await months.close(f"2026-{month:02}")
        for _ in range(dice.randint(1, 5)):
            await months.dispute()
        await months.decide()
        for period_id in list(months.drafts):
            if dice.random() < 0.7:
                await months.approve(period_id)
        await months.proven()
    for month in (5, 6):  # what was decided after the last close, and what waited for an approval
        months.day = date(2026, month, 28)
        await months.decide(all_of_them=True)
        for period_id in list(months.drafts):
            await months.approve(period_id)
        await months.close(f"2026-{month:02}")
    await months.approve(months.closed[-1])
    await months.proven()

    owed, paid = await months.sums()
    assert owed == paid
    ended = await disputes(db, first=1000)
    assert "open" not in {one.state for one in ended}
    assert any(one.held_minor for one in ended)
