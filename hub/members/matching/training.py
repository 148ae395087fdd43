"""Learn from a table itself what agreement on each field is worth there. Pure; no answers needed.

`u` is counted on pairs drawn by chance, of which hardly any are one person. `m` comes from
expectation and maximisation (Dempster 1977; Winkler 1988) on the pairs of some blocking passes,
each time without the fields that the pass has made agree. What is believed beforehand counts as so
many pairs more: a table of a few rows is judged by that alone. All weights are bounded, so that no
quirk of a table can make a field say more than it does anywhere.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hub.members.matching import blocking
from hub.members.matching.columns import Field
from hub.members.matching.comparing import Levels, compare, compared
from hub.members.matching.table import Table
from hub.members.matching.weights import LEVELS, PRIORS, Level

Reals = npt.NDArray[np.float64]
_DRAWN = 200_000
_BELIEVED_U, _BELIEVED_M = 500.0, 300.0
_TEACHING_PAIRS = 60_000
_ROUNDS = 15
# With fewer rows, chance and the truth cannot be told apart.
_FEWEST_ROWS = 200
# The parts of a blocking key that make a field agree.
_FIXED_BY = {
    "names": (Field.GIVEN_NAME, Field.SURNAME),
    "given_head": (Field.GIVEN_NAME,),
    "surname_head": (Field.SURNAME,),
    "year": (Field.BIRTHDAY,),
    "month": (Field.BIRTHDAY,),
    "day": (Field.BIRTHDAY,),
    "mailbox": (Field.EMAIL,),
}
# Keys that families do not share.
_OWN = {"document", "birthday", "names"}
_TEACHERS = (
    ("document",),
    ("email",),
    ("phone",),
    ("birthday",),
    ("names",),
    ("names", "birthday"),
    ("surname", "postcode"),
)


@dataclass(frozen=True, slots=True)
class Model:
    """Weights in bits for each field (row) and level (column), and what a pair begins with."""

    fields: list[Field]
    weights: Reals
    m: Reals
    prior: float
    size: int


def train(table: Table) -> Model:
    """Return the weights that fit a table."""
    fields = compared(table)
    u = _chance(table, fields)
    m = _learn(table, fields, u)
    with np.errstate(divide="ignore"):
        weights = np.log2(m / u)
    for row, one in enumerate(fields):
        prior = PRIORS[one]
        weights[row] = np.clip(weights[row], prior.least, prior.rarest)
        # Disagreement never speaks for a match, and agreement never against one.
        weights[row, 0] = min(weights[row, 0], 0.0)
        weights[row, 3] = max(weights[row, 3], 0.0)
        weights[row] = np.maximum.accumulate(weights[row])
    size = max(table.size, _FEWEST_ROWS)
    return Model(fields, weights, m, -float(np.log2(size)), size)


def _chance(table: Table, fields: list[Field]) -> Reals:
    believed: Reals = np.array([PRIORS[one].u for one in fields]) + 1e-6
    believed /= believed.sum(1, keepdims=True)
    if table.size < _FEWEST_ROWS:
        return believed
    draw = np.random.default_rng(7)
    left = draw.integers(0, table.size, _DRAWN, np.int32)
    right = draw.integers(0, table.size, _DRAWN, np.int32)
    apart = left != right
    counts = _counted(compare(table, left[apart], right[apart]), np.ones(int(apart.sum())))
    counts += believed * _BELIEVED_U
    return np.asarray(counts / counts.sum(1, keepdims=True))


def _counted(levels: Levels, shares: Reals) -> Reals:
    """How much of the shares falls on each level of each field."""
    known = levels >= 0
    return np.array(
        [
            np.bincount(levels[k, column], weights=shares[k], minlength=LEVELS)
            for column, k in enumerate(known.T)
        ]
    ).reshape(-1, LEVELS)


def _learn(table: Table, fields: list[Field], u: Reals) -> Reals:
    believed: Reals = np.array([PRIORS[one].m for one in fields]) + 1e-4
    believed /= believed.sum(1, keepdims=True)
    learnt = believed * _BELIEVED_M
    if table.size < _FEWEST_ROWS:
        return believed
    draw = np.random.default_rng(11)
    for parts, left, right in blocking.passes(table, _TEACHERS):
        if len(left) > _TEACHING_PAIRS:
            chosen = np.sort(draw.choice(len(left), _TEACHING_PAIRS, replace=False))
            left, right = left[chosen], right[chosen]  # noqa: PLW2901
        levels = compare(table, left, right)
        if Field.GIVEN_NAME in fields and not _OWN.intersection(parts):
            # Families share the key: only those of one name teach, and not how names agree.
            levels = levels[levels[:, fields.index(Field.GIVEN_NAME)] >= Level.NEAR]
            parts = (*parts, Field.GIVEN_NAME.value)  # noqa: PLW2901
        if not len(levels):
            continue
        fixed = {one for part in parts for one in _FIXED_BY.get(part, ())} | {*parts}
        free = [k for k, one in enumerate(fields) if one not in fixed and one.value not in fixed]
        if len(free) >= 2:
            learnt[free] += _expected(levels[:, free], believed[free], u[free])
    return np.asarray(learnt / learnt.sum(1, keepdims=True))


def _expected(levels: Levels, m: Reals, u: Reals) -> Reals:
    """Return how many of the pairs that are one person fall on each level of each field."""
    patterns, inverse = np.unique(levels, axis=0, return_inverse=True)
    counts = np.bincount(inverse.ravel()).astype(np.float64)
    believed, share = m, 0.3
    expected = np.zeros_like(m)
    for _ in range(_ROUNDS):
        odds = np.log(share / (1 - share)) + bits(patterns, np.log(m / u))
        belief = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        share = float(np.clip((belief * counts).sum() / counts.sum(), 1e-4, 1 - 1e-4))
        expected = _counted(patterns, belief * counts)
        # A level that no pair was at is not impossible: what was believed still counts.
        m = expected + believed * _BELIEVED_M
        m = m / m.sum(1, keepdims=True)
    return expected


def bits(levels: Levels, weights: Reals) -> Reals:
    """Add up the weights of each pair's levels; what is missing weighs nothing."""
    padded = np.column_stack([weights, np.zeros(len(weights))])
    total = np.zeros(len(levels))
    for column in range(levels.shape[1]):
        total += padded[column][levels[:, column]]
    return total
