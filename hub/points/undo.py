"""What a refund takes back: pure arithmetic on what is left of a sale.

Each earning line is undone in proportion to its refunded net, by the *cumulative* share: after
refunds of c of a line that sold for n and earned p, floor(p·c / n) points are gone. However a
line's refund is split, the parts sum to exactly p when all of it has come back, and never to more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.programme.earning import EarnedLine
from hub.units import share_by_largest_remainder


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What refunds undid of one line so far, or what one refund undoes."""

    id: str
    net: int
    points: int
    qualifying: int


NOTHING = Undone(id="", net=0, points=0, qualifying=0)


def undo(
    earned: Sequence[EarnedLine],
    undone: Mapping[str, Undone],
    *,
    refunded_net: Mapping[str, int],
    unallocated_minor: int,
    left_minor: int,
) -> list[Undone]:
    """Return what a refund undoes, line by line; lines it does not touch are left out.

    `refunded_net` gives net minor units by line; what exceeds the line is cut off. The amount
    refunded without naming lines (`unallocated_minor`, tax included) takes the same share of every
    line as it takes of `left_minor`, what earlier refunds have left of the bill.
    """
    left = {
        line.id: line.net - (undone[line.id].net if line.id in undone else 0) for line in earned
    }
    given = {id_: min(net, left.get(id_, 0)) for id_, net in refunded_net.items() if id_ in left}
    if unallocated_minor > 0:
        rest = {id_: net - given.get(id_, 0) for id_, net in left.items()}
        part = (
            sum(rest.values())
            if unallocated_minor >= left_minor
            else sum(rest.values()) * unallocated_minor // left_minor
        )
        for id_, net in zip(
            rest, share_by_largest_remainder(part, list(rest.values())), strict=True
        ):
            given[id_] = given.get(id_, 0) + net
    changes = []
    for line in earned:
        net = given.get(line.id, 0)
        if net > 0:
            before = undone.get(line.id, NOTHING)
            after = before.net + net
            changes.append(
                Undone(
                    id=line.id,
                    net=net,
                    points=line.points * after // line.net - before.points,
                    qualifying=line.qualifying * after // line.net - before.qualifying,
                )
            )
    return changes
