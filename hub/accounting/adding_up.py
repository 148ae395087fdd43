"""Round amounts so that they add up to a total that is rounded by itself. Pure."""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal

from hub.units import exponent


def round_to_add_up(amounts: Sequence[Decimal], total_minor: int, currency: str) -> list[int]:
    """Return `amounts` (major units) in whole minor units that sum to `total_minor`.

    Each is first floored; the units that are missing go one each to the largest remainders, earlier
    positions first on a tie. Where the total was itself rounded beyond them all, the smallest
    remainders give a unit, or the largest take a second one. What is nothing stays nothing. Raises
    ValueError when nothing should come to something.
    """
    scaled = [amount.scaleb(exponent(currency)) for amount in amounts]
    floors = [int(amount.to_integral_value(ROUND_FLOOR)) for amount in scaled]
    order = sorted(
        (i for i, amount in enumerate(scaled) if amount),
        key=lambda i: (floors[i] - scaled[i], i),
    )
    left = total_minor - sum(floors)
    if left and not order:
        raise ValueError("what is nothing cannot come to something")
    places = order if left > 0 else order[::-1]
    for n in range(abs(left)):
        floors[places[n % len(places)]] += 1 if left > 0 else -1
    return floors
