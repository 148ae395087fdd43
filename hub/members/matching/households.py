"""May two rows be two relatives? Learnt from a table itself, of which nobody has said so. Pure.

Relatives share a home, a surname, often a phone or a mailbox; some share the whole name: a father
and his son. So a pair is weighed against two rivals: two strangers, and two relatives. How many
relatives a table has is told by pairs that share what families share and differ in the given name,
and in the birthday where it is known; what they have in common else is counted on the same pairs;
how often relatives bear one name, where both birthdays are known. Where somebody wrote a wrong
name and a wrong day of one person, the pair looks like relatives, too: as many as follow from how
often either alone is wrong are taken off. A table in which hardly any are left has no families.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hub.members.matching.columns import Field
from hub.members.matching.comparing import Levels
from hub.members.matching.training import Model, Reals
from hub.members.matching.weights import LEVELS, NO_FAMILIES, PLACES, PRIORS, RELATIVES, Level

Flags = npt.NDArray[np.bool_]
SHARED = (Field.SURNAME, Field.PHONE, Field.EMAIL, *PLACES)
"""What families have in common."""
_AT_HOME_BITS = 4.0
_FEWEST = 60
_BELIEVED_PAIRS = 100.0
_NAMESAKES, _BELIEVED_NAMESAKES = 0.006, 300.0
_GENERATION, _FAR_SLIPS = 15, 0.5
"""Years between parents and children; of days that are wrong altogether, so many lie further away
for each that lies nearer.
"""
_LEAST_NAMESAKES, _MOST_NAMESAKES = 0.0004, 0.04
_ALIKE = (0.03, 0.008)
"""How many relatives have names that agree partly or nearly, before a table is seen."""


@dataclass(frozen=True, slots=True)
class Relatives:
    """What speaks for one person and against two relatives, in bits, by field and level."""

    weights: Reals
    prior: float
    ratio: float
    """How many pairs of relatives there are for one pair of rows of one person."""

    @property
    def none(self) -> bool:
        """Whether the table has no families: differing names and days are slips."""
        return self.ratio < NO_FAMILIES


def relatives(
    model: Model, levels: Levels, home_bits: Reals, weighty: Flags, years: Reals
) -> Relatives | None:
    """Count relatives among pairs that were compared; None where nobody could tell.

    `home_bits` is the weight of what families share, `weighty` are those that would be one person
    if there were only strangers, `years` lie between their birthdays, as far as they are known.
    """
    level = dict(zip(model.fields, levels.T, strict=True))
    given = level.get(Field.GIVEN_NAME)
    if given is None:
        return None
    born = level.get(Field.BIRTHDAY, np.full(len(levels), Level.MISSING, np.int8))
    home = home_bits >= _AT_HOME_BITS
    other = home & (given == Level.DIFFERENT) & (born < Level.NEAR)
    one = int((home & weighty & (given >= Level.NEAR) & (born != Level.DIFFERENT)).sum())
    kin = _kin(given, born, home, weighty, other)
    ratio = kin / max(one, 1)
    if ratio is None:
        return None
    f = _levels(model, levels, other)
    f[model.fields.index(Field.GIVEN_NAME)] = _names(given, born, home, years)
    with np.errstate(divide="ignore"):
        weights = np.log2(model.m / f)
    for row, field in enumerate(model.fields):
        most = RELATIVES.get(field, 12.0)
        weights[row] = np.clip(weights[row], -6.0, most)
        # That somebody moved tells him from nobody.
        weights[row] = np.minimum(weights[row], weights[row, Level.EQUAL])
    return Relatives(weights, -float(np.log2(max(ratio, 2.0**-9))), ratio)


def _kin(given: Levels, born: Levels, home: Flags, weighty: Flags, other: Flags) -> float:
    """How many pairs are of relatives, on a table's own evidence, and some in any case."""
    named, dated = given >= Level.NEAR, born >= Level.NEAR
    alike = int((home & weighty & named & dated).sum())
    misnamed = int((home & weighty & (given == Level.DIFFERENT) & (born == Level.EQUAL)).sum())
    misdated = int((home & weighty & (given == Level.EQUAL) & (born == Level.DIFFERENT)).sum())
    known = int((home & (born != Level.MISSING)).sum())
    if known >= _FEWEST:
        both = misnamed * misdated / max(alike, 1)
        certain = int((other & (born != Level.MISSING)).sum())
        found = max(0.0, certain - 2 * both) * int(home.sum()) / known
    else:
        slips = 0.03 * int((home & weighty & named).sum())
        found = max(0.0, int(other.sum()) - slips)
    return found + float(np.sqrt(found)) + 1


def _levels(model: Model, levels: Levels, other: Flags) -> Reals:
    """How relatives agree on each field, counted; what is a person's own agrees by chance."""
    f = np.array([PRIORS[one].u for one in model.fields]) + 1e-6
    for row, field in enumerate(model.fields):
        if field is Field.SEX:
            f[row] = model.m[row]
        elif field in SHARED:
            column = levels[other, row]
            counts = np.bincount(column[column >= 0], minlength=LEVELS)[:LEVELS]
            believed = np.array(PRIORS[field].m) if field in PLACES else _SHARED[field]
            f[row] = counts + believed * _BELIEVED_PAIRS + 0.01
    return np.asarray(f / f.sum(1, keepdims=True))


_SHARED = {
    Field.SURNAME: np.array((0.2, 0.02, 0.05, 0.73)),
    Field.PHONE: np.array((0.7, 0.02, 0.03, 0.25)),
    Field.EMAIL: np.array((0.85, 0.03, 0.02, 0.10)),
}


def _names(given: Levels, born: Levels, home: Flags, years: Reals) -> Reals:
    """How given names of relatives agree: counted where a generation lies between their birthdays.

    Somebody's wholly wrong birthday looks like that, too, but is as often of a nearer year.
    """
    sure = home & (born == Level.DIFFERENT) & (given >= 0)
    far = sure & (years >= _GENERATION)
    counts = _counts(given[far])
    slips = _counts(given[sure & (years < _GENERATION)])
    counts[Level.NEAR :] = np.maximum(counts[Level.NEAR :] - _FAR_SLIPS * slips[Level.NEAR :], 0)
    believed = np.array((1 - sum(_ALIKE) - _NAMESAKES, *_ALIKE, _NAMESAKES))
    found = counts + believed * _BELIEVED_NAMESAKES
    found /= found.sum()
    found[Level.EQUAL] = np.clip(found[Level.EQUAL], _LEAST_NAMESAKES, _MOST_NAMESAKES)
    return np.asarray(found)


def _counts(levels: Levels) -> Reals:
    return np.bincount(levels, minlength=LEVELS)[:LEVELS].astype(np.float64)
