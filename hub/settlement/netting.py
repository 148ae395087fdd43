"""Netting: what each business owes each other one becomes one amount per business.

Pure arithmetic on whole minor units. Amounts may be negative: in a period in which more was given
back than redeemed, the acceptor owes the issuer.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from hub.units import exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Gross:
    """What a debtor owes a creditor in a period, in minor units."""

    debtor_id: int
    creditor_id: int
    currency: str
    gross_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bilateral:
    """Two businesses' debts set off against each other: the debtor pays `net_minor` >= 0."""

    debtor_id: int
    creditor_id: int
    currency: str
    owed_minor: int
    counter_minor: int

    @property
    def net_minor(self) -> int:
        """Return what the debtor owes less what the creditor owes."""
        return self.owed_minor - self.counter_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """The one amount a business receives (positive) or pays (negative), in minor units."""

    business_id: int
    currency: str
    net_minor: int


def round_to_minor(exact: Decimal, currency: str) -> int:
    """Return `exact` major units rounded half-even to whole minor units."""
    return int(exact.scaleb(exponent(currency)).to_integral_value(ROUND_HALF_EVEN))


def net_bilaterally(gross: Iterable[Gross]) -> list[Bilateral]:
    """Set off what each pair owes each other, per currency; ordered, whatever the input's order.

    A pair that owes nothing on balance is listed with a net of 0, the lower id as debtor.
    """
    owed: dict[tuple[int, int, str], int] = defaultdict(int)
    for one in gross:
        if one.debtor_id == one.creditor_id:
            raise ValueError("a business owes itself nothing: self-redemptions are no obligations")
        owed[one.debtor_id, one.creditor_id, one.currency] += one.gross_minor
    pairs = {(min(i, a), max(i, a), currency) for i, a, currency in owed}
    positions = []
    for low, high, currency in sorted(pairs):
        there = owed.get((low, high, currency), 0)
        back = owed.get((high, low, currency), 0)
        debtor, creditor = (low, high) if there >= back else (high, low)
        positions.append(
            Bilateral(
                debtor_id=debtor,
                creditor_id=creditor,
                currency=currency,
                owed_minor=max(there, back),
                counter_minor=min(there, back),
            )
        )
    return positions


def net_multilaterally(gross: Iterable[Gross]) -> list[Net]:
    """Return one amount per business and currency; per currency they sum to zero (I6)."""
    nets: dict[tuple[int, str], int] = defaultdict(int)
    for one in gross:
        nets[one.debtor_id, one.currency] -= one.gross_minor
        nets[one.creditor_id, one.currency] += one.gross_minor
    return [
        Net(business_id=business_id, currency=currency, net_minor=minor)
        for (business_id, currency), minor in sorted(nets.items())
    ]
