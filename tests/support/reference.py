"""What a month must come to, worked out anew from what was posted, by none of the hub's code.

The hub sums in SQL, carries states from period to period and writes movements. This reads every
entry, prices each line by itself, and says of each cohort in exact fractions what is left of what
was paid for it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Side
from hub.settlement.codes import LineKind
from hub.units import exponent

ENTRIES = text("""
SELECT e.member_id, e.tx_id, e.seq, e.debit, e.credit, e.points, e.issuer_id, e.business_id,
  e.business_date, e.cost_rate, t.reference_tx, e.lot_id,
  ledger_cohort(e.member_id, e.lot_id, e.unit, e.business_date) AS cohort
FROM entry e LEFT JOIN ledger_transaction t USING (member_id, tx_id)
WHERE e.unit = 1 AND e.business_date <= :until ORDER BY e.member_id, e.tx_id, e.seq""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """What an issuer pays an acceptor from a day on: `rate` None is the lot's own cost."""

    since: date
    rate: Decimal | None
    currency: str
    tax: Decimal = Decimal(0)
    included: bool = False
    kind: LineKind = LineKind.REDEMPTION

    def total(self, exact: Decimal) -> tuple[int, int]:
        """Return net and tax of what lines sum to, in minor units."""
        places = exponent(self.currency)
        agreed = _round(exact.scaleb(places))
        if not self.tax:
            return agreed, 0
        if self.included:
            net = _round(Decimal(agreed) / (1 + self.tax))
            return net, agreed - net
        return agreed, _round(agreed * self.tax)


class Pair(NamedTuple):
    """Who owes whom, in what."""

    debtor_id: int
    creditor_id: int
    currency: str


@dataclass(slots=True)
class Owed:
    """What a period's lines of one pair and one deal come to."""

    lines: int = 0
    points: int = 0
    exact: Decimal = Decimal(0)


class Corrected(NamedTuple):
    """What is owed from a day on beside points: agreed so, or for a voucher or a benefit."""

    day: date
    pair: Pair
    points: int
    amount: Decimal
    kind: LineKind = LineKind.CORRECTION


@dataclass(slots=True)
class Cohort:
    """What was paid for a month's points, and what became of them."""

    paid: Fraction = Fraction(0)
    issued: int = 0
    redeemed: int = 0
    left: int = 0

    def owed(self, rate: Fraction) -> Fraction:
        """Return what is still owed if `rate` of the points issued are redeemed in the end."""
        most = self.redeemed + max(self.left, 0)
        expected = min(max(rate * self.issued, Fraction(self.redeemed)), Fraction(most))
        return self.paid * (expected - self.redeemed) / expected if expected > 0 else Fraction(0)


@dataclass(slots=True)
class Reference:
    """Follows a group from period to period. `deals` are in order of their days."""

    deals: Mapping[tuple[int, int], Sequence[Deal]]
    values: Mapping[int, Decimal]
    pools: Mapping[int, date]
    """Whose points are recognised together, and under which month."""
    prices: dict[int, Decimal] = field(default_factory=dict)
    """By the transaction of a sale, what it was sold for in major units."""
    corrected: list[Corrected] = field(default_factory=list)
    cohorts: dict[tuple[int, date], Cohort] = field(default_factory=lambda: defaultdict(Cohort))
    _seen: set[tuple[int, int, int]] = field(default_factory=set)
    _spent: dict[tuple[int, int, int], date] = field(default_factory=dict)

    async def news(self, db: AsyncConnection, until: date) -> list[Row[Any]]:
        """Return the entries up to a day that were not there before."""
        rows = (await db.execute(ENTRIES, {"until": until})).all()
        fresh = [row for row in rows if (row.member_id, row.tx_id, row.seq) not in self._seen]
        self._seen |= {(row.member_id, row.tx_id, row.seq) for row in fresh}
        return fresh

    def settle(self, news: Sequence[Row[Any]], until: date) -> dict[tuple[Pair, Deal], Owed]:
        """Return what these entries and corrections make businesses owe, by pair and deal."""
        owed: dict[tuple[Pair, Deal], Owed] = defaultdict(Owed)
        due = [one for one in self.corrected if one.day <= until]
        self.corrected = [one for one in self.corrected if one.day > until]
        for one in due:
            deal = Deal(since=date.min, rate=None, currency=one.pair.currency, kind=one.kind)
            line = owed[one.pair, deal]
            line.lines += 1
            line.points += one.points
            line.exact += one.amount
        for row in news:
            if row.credit == Side.ACCEPTED:
                self._spent[row.member_id, row.tx_id, row.lot_id] = row.business_date
        for row in news:
            if Side.ACCEPTED not in (row.debit, row.credit) or row.issuer_id == row.business_id:
                continue
            given_back = row.debit == Side.ACCEPTED
            priced_on = (
                self._spent[row.member_id, row.reference_tx, row.lot_id]
                if given_back
                else row.business_date
            )
            versions = self.deals[row.issuer_id, row.business_id]
            deal = [one for one in versions if one.since <= priced_on][-1]
            points = -row.points if given_back else row.points
            line = owed[Pair(row.issuer_id, row.business_id, deal.currency), _terms(deal)]
            line.lines += 1
            line.points += points
            line.exact += points * (row.cost_rate if deal.rate is None else deal.rate)
        return owed

    def recognise(self, news: Sequence[Row[Any]], rates: Mapping[int, Decimal]) -> None:
        """Let entries change what was paid for cohorts and what is left of them."""
        moved: dict[tuple[int, date], dict[Side, int]] = defaultdict(lambda: defaultdict(int))
        sold: dict[tuple[int, date], Fraction] = defaultdict(Fraction)
        cost: dict[tuple[int, date, date, Side, Decimal], int] = defaultdict(int)
        for row in news:
            key = row.issuer_id, self.pools.get(row.issuer_id, row.cohort)
            for side, other, sign in ((row.debit, row.credit, 1), (row.credit, row.debit, -1)):
                if side == Side.MEMBER:
                    continue
                reason = _reason(Side(side), Side(other))
                moved[key][reason] += sign * row.points
                cost[*key, row.cohort, reason, row.cost_rate] += sign * row.points
            if row.debit == Side.ISSUED:
                sold[key] += Fraction(self.prices.pop(row.tx_id, Decimal(0)))
        for key, points in moved.items():
            self._move(key, points, sold[key], cost, Fraction(rates[key[0]]))

    def _move(
        self,
        key: tuple[int, date],
        points: Mapping[Side, int],
        price: Fraction,
        cost: Mapping[tuple[int, date, date, Side, Decimal], int],
        rate: Fraction,
    ) -> None:
        cohort = self.cohorts[key]
        said: dict[Side, int] = defaultdict(int, points)
        alone = said[Side.ISSUED] * Fraction(self.values[key[0]]) * rate
        if alone > 0 and price > 0:
            cohort.paid += price * alone / (price + alone)
        given = 0
        for (issuer_id, place, _, reason, cost_rate), n in cost.items():
            if (issuer_id, place) != key:
                continue
            if reason == Side.OPENING or (reason == Side.ADJUSTED and n > 0):
                cohort.paid += n * Fraction(cost_rate) * rate
                given += n if reason == Side.ADJUSTED else 0
        cohort.issued += said[Side.ISSUED] + said[Side.OPENING] + given
        taken = said[Side.CLAWED_BACK] + said[Side.ADJUSTED] - given
        if cohort.issued > 0:
            cohort.paid *= 1 + max(Fraction(taken, cohort.issued), Fraction(-1))
        cohort.issued += taken
        cohort.redeemed -= said[Side.ACCEPTED]
        cohort.left += sum(said.values())


def _reason(side: Side, other: Side) -> Side:
    """Return which of five reasons a side stands for: what refunds settle is one of them."""
    if side in (Side.CLAWED_BACK, Side.RECEIVABLE, Side.RECOVERED) and other != Side.REDRESSED:
        return Side.CLAWED_BACK
    if side in (Side.ISSUED, Side.ACCEPTED, Side.EXPIRED, Side.OPENING):
        return side
    return Side.ADJUSTED


def _terms(deal: Deal) -> Deal:
    """Return what of a deal is on a total: its tax, but not its rate."""
    return Deal(
        since=date.min, rate=None, currency=deal.currency, tax=deal.tax, included=deal.included
    )


def _round(exact: Decimal) -> int:
    return int(exact.to_integral_value(ROUND_HALF_EVEN))
