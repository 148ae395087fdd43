"""Random months: every roll-forward ties, in points to the ledger and in money to its proof."""

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.movements import MovementKind, RollForward
from hub.accounting.recognise import recognise
from hub.accounting.standing import states_of
from hub.ledger.codes import Kind, ShortfallMode
from hub.ledger.post import post_adjustment, post_move, post_reinstatement
from hub.ledger.verify import verify
from hub.points.clawback import clawback
from hub.points.expire import expire
from hub.points.redeem import redeem
from hub.points.restore import restore
from hub.points.undo import Refunded
from hub.settlement.queries import totals
from hub.units import exponent
from tests.support.accounting import Shops, account_for, closed, expect, make_selling_group
from tests.support.settlement import KINDS, agreement, noon
from tests.support.turmoil import Turmoil

K = MovementKind
SEEDS = range(int(os.environ.get("HUB_MONTHS_EXAMPLES", "10")))
MONTHS, STEPS, MEMBERS = 5, 40, 4
FIRST = date(2026, 1, 1)
# What issuers have left in members' lots, less what members owe them, by cohort.
LEFT = text("""
SELECT issuer_id, cohort, sum(n)::bigint AS points FROM (
  SELECT issuer_id, cohort_of(earned_at, b.time_zone, b.day_starts_at_hour) AS cohort,
    remaining AS n
  FROM lot JOIN business b ON business_id = issuer_id WHERE unit = 1
  UNION ALL
  SELECT s.issuer_id, ledger_cohort(s.member_id, s.tx_id, 1::smallint, date '2026-01-01'),
    settled - points
  FROM shortfall s WHERE mode = 1 AND unit = 1) AS parts
GROUP BY issuer_id, cohort HAVING sum(n) <> 0 ORDER BY issuer_id, cohort
""")


def ties(roll: RollForward, before: RollForward | None) -> None:
    """Opening and movements are the closing, exactly and in cents; the closing is its proof."""
    opening, *moved, closing = roll.movements
    assert opening.amount + sum(m.amount for m in moved) == closing.amount
    assert opening.minor + sum(m.minor for m in moved) == closing.minor
    assert opening.points + sum(m.points for m in moved) == closing.points
    assert (roll.proof.amount, roll.proof.minor) == (closing.amount, closing.minor)
    assert closing.amount >= 0
    for line in moved:
        assert abs(line.minor - line.amount.scaleb(exponent(roll.currency))) < 2
    if before is not None:
        last = before.movements[-1]
        assert (opening.points, opening.amount, opening.minor) == (
            last.points,
            last.amount,
            last.minor,
        )


class Months(Shops):
    """Does at random what happens in shops, on days of a month, and now and then too late."""

    def __init__(self, db: AsyncConnection, ids: dict[str, int], seed: int) -> None:
        super().__init__(db, ids)
        self.dice = Random(seed)
        self.sold: list[tuple[str, int, int, int]] = []
        self.redeemed: list[tuple[str, int, int]] = []

    async def step(self, day: date) -> None:
        code, member = self.dice.choice(list(self.ids)), self.dice.randint(1, MEMBERS)
        points = self.dice.randint(1, 900)
        verbs = ("sale", "sale", "sale", "spend", "spend", "spend", "back", "refund", "refund",
            "adjust", "move", "expire", "bring", "reinstate")  # fmt: skip
        await getattr(self, f"_{self.dice.choice(verbs)}")(code, member, points, day)

    def _facts(self, code: str, day: date) -> dict[str, object]:
        return {
            "business_id": self.ids[code],
            "idempotency_key": self._key(),
            "occurred_at": noon(day),
            "business_date": day,
            "now": noon(day),
        }

    async def _sale(self, code: str, member: int, points: int, day: date) -> None:
        price = points * self.dice.randint(50, 150)
        self.sold.append((code, member, await self.sell(code, member, price, day), price))

    async def _spend(self, code: str, member: int, points: int, day: date) -> None:
        done = await redeem(
            self.db, member_id=member, points=points, today=day, **self._facts(code, day)
        )  # type: ignore[arg-type]
        if not done.outcome:
            self.redeemed.append((code, member, done.tx_id))

    async def _back(self, _code: str, _member: int, points: int, day: date) -> None:
        if self.redeemed:
            code, member, tx = self.dice.choice(self.redeemed)
            await restore(
                self.db,
                member_id=member,
                redemption_tx=tx,
                points=points // 3 + 1,
                today=day,
                **self._facts(code, day),
            )  # type: ignore[arg-type]

    async def _refund(self, _code: str, _member: int, _points: int, day: date) -> None:
        if self.sold:
            code, member, tx, price = self.dice.choice(self.sold)
            amount = self.dice.randint(1, price)
            await clawback(
                self.db,
                member_id=member,
                account_id=member * 10,
                earn_tx=tx,
                refund=Refunded(nets={"1": amount}, unallocated_minor=0, amount_minor=amount),
                mode=self.dice.choice(list(ShortfallMode)),
                limit_points=5_000,
                **self._facts(code, day),
            )  # type: ignore[arg-type]

    async def _adjust(self, code: str, member: int, points: int, day: date) -> None:
        await post_adjustment(
            self.db,
            member_id=member,
            account_id=member * 10,
            points=self.dice.choice((1, -1)) * points,
            cost_rate=Decimal("0.008"),
            expires_on=None,
            reason="seen so",
            today=day,
            **self._facts(code, day),
        )  # type: ignore[arg-type]

    async def _move(self, code: str, member: int, points: int, day: date) -> None:
        await post_move(
            self.db,
            kind=Kind.TRANSFER,
            from_id=member,
            to_id=member % MEMBERS + 1,
            account_id=None,
            to_account_id=None,
            points=points,
            year=day.year,
            today=day,
            **self._facts(code, day),
        )  # type: ignore[arg-type]

    async def _expire(self, _code: str, _member: int, _points: int, day: date) -> None:
        await expire(self.db, today=day, now=noon(day))

    async def _bring(self, code: str, member: int, points: int, day: date) -> None:
        await self.bring(code, member, points, day, expires_on=day + timedelta(days=40))

    async def _reinstate(self, code: str, _member: int, _points: int, day: date) -> None:
        lost = await self.db.execute(
            text(
                "SELECT member_id, lot_id FROM entry WHERE credit = 30 ORDER BY tx_id DESC LIMIT 1"
            )
        )
        for row in lost:
            await post_reinstatement(
                self.db,
                member_id=row.member_id,
                lot_id=row.lot_id,
                points=None,
                until=day + timedelta(days=20),
                reason="asked for",
                **self._facts(code, day),
            )  # type: ignore[arg-type]


async def _left(db: AsyncConnection) -> list[tuple[int, date, int]]:
    return [(row.issuer_id, row.cohort, row.points) for row in await db.execute(LEFT)]


async def _agrees(db: AsyncConnection, period_id: int, rolls: Sequence[RollForward]) -> None:
    """Points are the ledger's, by cohort; what partners took is what the period settles."""
    states = await states_of(db, period_id=period_id)
    assert [(s.issuer_id, s.cohort, s.outstanding) for s in states if s.outstanding] == await _left(
        db
    )
    settled = {roll.owner_id: 0 for roll in rolls}
    for total in (await totals(db, period_ids=[period_id]))[period_id]:
        settled[total.debtor_id] += total.points
    for roll in rolls:
        partner = roll.of(K.REDEEMED).partner_points + roll.of(K.REINSTATED).partner_points
        assert -partner == settled[roll.owner_id]


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_months_tie_to_ledger_proof_and_settlement(
    db: AsyncConnection, seed: int
) -> None:
    pairs = [(i, a) for i in KINDS for a in KINDS if i != a]
    ids = await make_selling_group(
        db, [agreement(i, a, "0.008") for i, a in pairs], points_per_unit="1.1", months=2
    )
    town = Months(db, ids, seed)
    for business_id in ids.values():
        await account_for(db, business_id, value="0.01", since=FIRST)
        await expect(db, business_id, "0.8", since=FIRST)
    before: dict[int, RollForward] = {}
    for number in range(1, MONTHS + 1):
        first = date(2026, number, 1)
        if number > 1:
            rate = Decimal(town.dice.randint(1, 100)) / 100
            await expect(db, town.dice.choice(list(ids.values())), str(rate), since=first)
        days = sorted(town.dice.randint(0, 27) for _ in range(STEPS))
        for n in days:
            late = number > 1 and town.dice.random() < 0.1
            await town.step(first + timedelta(days=n - 31 if late else n))
        at = datetime(2026, number + 1, 1, tzinfo=UTC)
        period = await closed(db, f"2026-{number:02}", at)
        rolls = await recognise(db, period_id=period.period_id, actor="wei", now=at)
        for roll in rolls:
            ties(roll, before.get(roll.owner_id))
        await _agrees(db, period.period_id, rolls)
        before = {roll.owner_id: roll for roll in rolls}
    assert await verify(db) == []


@pytest.mark.parametrize("seed", range(3))
async def test_members_who_merge_and_split_change_no_total(db: AsyncConnection, seed: int) -> None:
    town = Turmoil(seed, means=False)
    await town.found(db)
    for _ in range(150):
        await town.step(db)
    await db.execute(
        text("""
          INSERT INTO agreement (issuer_id, acceptor_id, effective_from, rate_per_point, currency)
          SELECT i, a, '2026-01-01', 0.008, 'CNY' FROM generate_series(1, 3) i,
            generate_series(1, 3) a WHERE i <> a""")
    )
    for business_id in (1, 2, 3):
        await account_for(db, business_id, value="0.01", since=FIRST)
        await expect(db, business_id, "0.8", since=FIRST)
    at = datetime(2027, 1, 1, tzinfo=UTC)
    period = await closed(db, "2026-12", at)
    rolls = await recognise(db, period_id=period.period_id, actor="wei", now=at)
    for roll in rolls:
        ties(roll, None)
    await _agrees(db, period.period_id, rolls)
