"""Share a discount out among lines, none of which gives more than it may."""

from collections.abc import Sequence

from hub.units import share_by_largest_remainder


def allocate(total: int, weights: Sequence[int], rooms: Sequence[int]) -> list[int]:
    """Share `total` in proportion to `weights`, at most `rooms` to each, adding up exactly.

    By largest remainder; what a line has no room for goes to the others in the same proportion.
    `total` must not exceed the rooms together, and where there is room there must be weight.
    """
    shares = [0] * len(weights)
    open_to = [place for place, room in enumerate(rooms) if room > 0]
    left = total
    while left:
        parts = share_by_largest_remainder(left, [weights[place] for place in open_to])
        full = [place for place, part in zip(open_to, parts, strict=True) if part > rooms[place]]
        if not full:
            for place, part in zip(open_to, parts, strict=True):
                shares[place] = part
            break
        for place in full:
            shares[place] = rooms[place]
            left -= rooms[place]
        open_to = [place for place in open_to if place not in full]
    return shares


def part_of(amount: int, *, units: int, of: int) -> int:
    """Return the share of `amount` that the first `units` of `of` units have, rounded down.

    The share of what comes after is the difference of two of these, so that in whatever pieces
    units are given back, the pieces add up to `amount`.
    """
    return amount * units // of
