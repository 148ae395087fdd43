"""What a bill in another currency is worth: by the rate it states, else by the group's table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor

from hub.errors import Malformed
from hub.programme.bill import Bill
from hub.units import exponent, is_rate

Table = Mapping[tuple[str, str], Sequence["ExchangeRate"]]
"""Versions of each rate by `(from, to)`, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRate:
    """A dated rate: major units of one currency per major unit of another."""

    effective_from: date
    rate: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The rate that a bill is converted at, and who says so (None: the bill itself)."""

    rate: Decimal
    table_of: date | None


def needs_table(bill: Bill, *, to: str) -> bool:
    """Say whether only the table knows what the bill is worth in the currency `to`."""
    return bill.currency != to and bill.exchange_rate is None


def conversion(bill: Bill, *, to: str, on: date, table: Table) -> Conversion | None:
    """Return how the bill becomes the currency `to` on that day; None: it is in it already.

    A rate the other way round is not turned over: its inverse would be a guess. Raises Malformed,
    naming the field, when no rate is known or the stated one is not positive.
    """
    if bill.currency == to:
        return None
    if bill.exchange_rate is not None:
        if not is_rate(bill.exchange_rate):
            raise Malformed(
                "an exchange rate is a positive number of sensible size",
                field="exchange_rate",
            )
        return Conversion(rate=bill.exchange_rate, table_of=None)
    for version in table.get((bill.currency, to), ()):
        if version.effective_from <= on:
            return Conversion(rate=version.rate, table_of=version.effective_from)
    raise Malformed(
        f"a bill in {bill.currency}; the business accounts in {to}, and no exchange rate was in "
        f"force on {on}: add one to the programme's exchange_rates, and replay",
        field="currency",
    )


def converted(amount_minor: int, *, of: str, to: str, rate: Decimal | None) -> int:
    """Return minor units of the currency `to` for an amount in `of`, rounded down; None: the same.

    Amounts are not negative.
    """
    if rate is None:
        return amount_minor
    minor = Fraction(10) ** (exponent(to) - exponent(of))
    return floor(Fraction(amount_minor) * Fraction(rate) * minor)
