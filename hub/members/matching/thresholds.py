"""From which weight on are two rows one person? Told by what a table's own pairs let expect. Pure.

A weight of w bits says that two rows are one person at odds of 2**w to one: of so many pairs of
that weight one is expected to be false. So what is expected to be false of all pairs above a weight
can be added up before anybody has looked at one (Fellegi and Sunter 1969, who choose by it, too).
"""

import numpy as np

from hub.members.matching.scoring import Scored

FALSE_SHARE, STRICT_FALSE_SHARE = 3e-4, 1e-4
"""The share of the pairs found that may be expected to be false."""
LEAST_BITS = 3.2
"""Ten to one, as near as weights can say: a false merge costs ten misses."""
_LEAST_FOUND = 0.7
_FEW_PAIRS, _FEW_PAIRS_BITS = 50, 6.0
"""Of fewer pairs nothing can be expected; then it takes so much."""


def threshold(edges: Scored, *, strict: bool = False) -> float:
    """Return the weight in bits from which rows are one person.

    No larger share of the pairs found may be expected to be false than `FALSE_SHARE`. Where so
    little tells people apart that this would leave most of them in pieces, down to `LEAST_BITS` is
    taken until `_LEAST_FOUND` of the pairs that there must be are found; not so if `strict`.
    """
    allowed = STRICT_FALSE_SHARE if strict else FALSE_SHARE
    bits = np.sort(edges.bits[(edges.vetoes == 0) & (edges.bits >= -LEAST_BITS)])[::-1]
    if len(bits) < _FEW_PAIRS:
        return _FEW_PAIRS_BITS
    right = np.cumsum(1 / (1 + np.exp2(-bits)))
    taken = int((bits >= LEAST_BITS).sum())
    share = 1 - right[:taken] / np.arange(1, taken + 1)
    # Pairs of one weight are taken together or not at all.
    ends = np.r_[bits[1:], -np.inf][:taken] < bits[:taken]
    last = int(max(np.flatnonzero((share <= allowed) & ends), default=-1))
    if not strict:
        enough = int(np.searchsorted(right, _LEAST_FOUND * right[-1]))
        last = max(last, min(taken - 1, enough))
    return float(bits[last]) if last >= 0 else max(float(bits[0]), LEAST_BITS) + 1
