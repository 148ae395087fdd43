"""What refunds undo of an earn: pure arithmetic on all refunds of a sale together.

Each earning line is undone in proportion to its refunded net: of a line that sold for n and
earned p, refunds of c leave floor(p·c / n) points due back. Because the result is a function of
the *set* of refunds, it does not depend on their order or on how they were split, and it reaches
exactly what was earned when everything has been refunded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.programme.earning import EarnedLine
from hub.units import share_by_largest_remainder


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded:
    """One refund: net minor units by sold line, and what it gave back without naming lines.

    `amount_minor` is all of it, tax included; `unallocated_minor` the part without lines.
    """

    nets: Mapping[str, int]
    unallocated_minor: int
    amount_minor: int


def undone(
    earned: Sequence[EarnedLine], *, total_minor: int, refunds: Sequence[Refunded]
) -> tuple[int, int]:
    """Return how many spendable and qualifying points `refunds` undo, all together.

    What a line is refunded beyond its net is cut off. The amount without lines takes the same
    share of every line as it takes of what the named refunds leave of the bill.
    """
    named = {
        line.id: min(line.net, sum(refund.nets.get(line.id, 0) for refund in refunds))
        for line in earned
    }
    rest = [line.net - named[line.id] for line in earned]
    unallocated = sum(refund.unallocated_minor for refund in refunds)
    left = total_minor - sum(r.amount_minor - r.unallocated_minor for r in refunds)
    part = sum(rest) if unallocated >= left else sum(rest) * unallocated // left
    points = qualifying = 0
    for line, share in zip(earned, share_by_largest_remainder(part, rest), strict=True):
        net = named[line.id] + share
        points += line.points * net // line.net
        qualifying += line.qualifying * net // line.net
    return points, qualifying
