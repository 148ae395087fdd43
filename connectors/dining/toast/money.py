"""Toast's amounts are binary doubles written as decimals: read exactly, and shared to the cent."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from hub.errors import Malformed
from hub.units import exponent

# What a double adds to an amount of two decimals lies far below a thousandth of a cent.
_NOISE = Decimal("0.001")


def minor(amount: Decimal, currency: str, field: str) -> int:
    """Return an amount in minor units; raises Malformed, naming `field`, for parts of one."""
    scaled = amount.scaleb(exponent(currency))
    nearest = scaled.to_integral_value(rounding=ROUND_HALF_EVEN)
    if abs(scaled - nearest) > _NOISE:
        raise Malformed(f"{amount} has more decimals than {currency} has", field=field)
    return int(nearest)


def spread(amounts: Sequence[Decimal], currency: str) -> list[int]:
    """Round amounts to minor units so that they sum to their rounded sum.

    Prices after shared discounts and taxes of single items have as many decimals as the division
    gave them; only their sum is charged.
    """
    places = exponent(currency)
    running, before, parts = Decimal(0), 0, []
    for amount in amounts:
        running += amount.scaleb(places)
        after = int(running.to_integral_value(rounding=ROUND_HALF_EVEN))
        parts.append(after - before)
        before = after
    return parts
