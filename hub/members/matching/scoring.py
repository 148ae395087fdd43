"""How surely two rows are one person, and what forbids it however well the rest agrees. Pure.

The weight of a pair is the sum of its fields' weights and of what every pair begins with: that
one row in a table has about one other of the same person. Agreement on a rare value says more than
on a common one; what leads to a person (a phone, an address) says the more the fewer names go by
it, and nothing once it is a front desk's; what a household shares is bounded as a whole.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hub.members.matching.columns import Field
from hub.members.matching.comparing import Levels, Pairs, compare
from hub.members.matching.households import SHARED, Relatives
from hub.members.matching.table import Table
from hub.members.matching.training import Model, Reals, bits
from hub.members.matching.weights import (
    ALIKE_BITS,
    IDENTIFIERS,
    NO_FAMILIES_ALIKE_BITS,
    NO_FAMILIES_PLACE_BITS,
    PLACE_BITS,
    PLACES,
    PRIORS,
    SHARED_BY,
    TWINS_BITS,
    Level,
    Veto,
)

_BELIEVED_ROWS = 200
_CHUNK = 1_000_000
Flags = npt.NDArray[np.bool_]
Vetoes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scored:
    """Pairs with their weights in bits, and what forbids each of them (bits of `Veto`)."""

    left: Pairs
    right: Pairs
    bits: Reals
    vetoes: Vetoes
    levels: Levels


class Scorer:
    """Weighs pairs of one table by one model."""

    def __init__(self, table: Table, model: Model) -> None:
        self.table, self.model = table, model
        self.in_force = Veto.ALL
        self.place_bits, self.alike_bits = PLACE_BITS, ALIKE_BITS
        self.relatives: Relatives | None = None
        self._names: dict[Field, Reals] = {
            one: self.names_by(one) for one in IDENTIFIERS if one in model.fields
        }
        self._equal = [self._worth(one, row) for row, one in enumerate(model.fields)]

    def score(self, left: Pairs, right: Pairs, *, above: float = -np.inf) -> Scored:
        """Weigh pairs; those of less than `above` bits are left out."""
        parts = []
        for start in range(0, len(left), _CHUNK):
            i, j = left[start : start + _CHUNK], right[start : start + _CHUNK]
            levels = compare(self.table, i, j)
            bits = self._total(self.shares(i, j, levels), i, levels)
            kept = np.flatnonzero(bits >= above)
            vetoes = self.forbidden(i[kept], j[kept], levels[kept])
            parts.append(Scored(i[kept], j[kept], bits[kept], vetoes, levels[kept]))
        nothing = np.empty(0, np.int32)
        none = np.empty((0, len(self.model.fields)), np.int8)
        parts = parts or [Scored(nothing, nothing, np.empty(0), np.empty(0, np.uint8), none)]
        return Scored(
            np.concatenate([p.left for p in parts]),
            np.concatenate([p.right for p in parts]),
            np.concatenate([p.bits for p in parts]),
            np.concatenate([p.vetoes for p in parts]),
            np.concatenate([p.levels for p in parts]),
        )

    def reckon_with(self, found: Relatives) -> None:
        """From now on weigh against relatives, too; where there are none, forbid nothing."""
        if not found.none:
            self.relatives = found
        else:
            self.in_force = Veto(0)
            self.place_bits, self.alike_bits = NO_FAMILIES_PLACE_BITS, NO_FAMILIES_ALIKE_BITS

    def again(self, pairs: Scored) -> Scored:
        """Weigh pairs anew whose levels are known, by the rules that are now in force."""
        shares = self.shares(pairs.left, pairs.right, pairs.levels)
        vetoes = self.forbidden(pairs.left, pairs.right, pairs.levels)
        return replace(pairs, bits=self._total(shares, pairs.left, pairs.levels), vetoes=vetoes)

    def shares(self, left: Pairs, right: Pairs, levels: Levels) -> Reals:
        """Return what each field adds to the weight of each pair, before places are bounded."""
        shares = np.zeros(levels.shape, np.float64, order="F")
        for row, one in enumerate(self.model.fields):
            by_level = np.append(self.model.weights[row], 0.0)
            column = by_level[levels[:, row]]
            equal = np.flatnonzero(levels[:, row] == Level.EQUAL)
            column[equal] = self._equal[row][self.table.features[one].codes[left[equal]]]
            if one in IDENTIFIERS:
                self._shared(one, row, column, left, right)
            shares[:, row] = column
        return shares

    def _total(self, shares: Reals, left: Pairs, levels: Levels) -> Reals:
        """Weigh one person against two strangers, and against two relatives if there are any."""
        others = [k for k, one in enumerate(self.model.fields) if one not in PLACES]
        strangers = self.model.prior + shares[:, others].sum(1) + self._places(shares)
        strangers -= self.alike_bits
        if self.relatives is None:
            return np.asarray(strangers)
        return np.asarray(-np.logaddexp2(-strangers, -self._against_relatives(left, levels)))

    def _places(self, shares: Reals) -> Reals:
        places = [k for k, one in enumerate(self.model.fields) if one in PLACES]
        return np.asarray(np.clip(shares[:, places].sum(1), *self.place_bits))

    def _against_relatives(self, left: Pairs, levels: Levels) -> Reals:
        if self.relatives is None:
            return np.full(len(levels), np.inf)
        weights, fields = self.relatives.weights, self.model.fields
        total = self.relatives.prior + bits(levels, weights)
        for one in (Field.PHONE, Field.EMAIL):
            if one in fields:
                # What is known to be shared tells nobody from those who share it.
                row = fields.index(one)
                equal = np.flatnonzero(levels[:, row] == Level.EQUAL)
                shared = self._names[one][self.table.features[one].codes[left[equal]]] > 1
                total[equal[shared]] -= weights[row, Level.EQUAL]
        if Field.BIRTHDAY in fields:
            born, given = fields.index(Field.BIRTHDAY), fields.index(Field.GIVEN_NAME)
            twins = (levels[:, born] >= Level.NEAR) & (levels[:, given] < Level.EQUAL)
            twins &= levels[:, given] != Level.MISSING
            most = np.minimum(weights[born], TWINS_BITS) - weights[born]
            total[twins] += most[levels[twins, born]]
        return total

    def years(self, pairs: Scored) -> Reals:
        """Return how many years lie between two birthdays; -1 where either is unknown."""
        feature = self.table.features.get(Field.BIRTHDAY)
        if feature is None:
            return np.full(len(pairs.left), -1.0)
        year = np.array([int(value[:4]) for value in feature.values] + [0])[feature.codes]
        a, b = year[pairs.left], year[pairs.right]
        return np.where((a > 0) & (b > 0), np.abs(a - b), -1).astype(np.float64)

    def home_bits(self, pairs: Scored) -> Reals:
        """Weigh only what families share."""
        shares = self.shares(pairs.left, pairs.right, pairs.levels)
        shared = [
            k for k, one in enumerate(self.model.fields) if one in SHARED and one not in PLACES
        ]
        return np.asarray(self.model.prior + shares[:, shared].sum(1) + self._places(shares))

    def _shared(self, one: Field, row: int, column: Reals, left: Pairs, right: Pairs) -> None:
        """What many go by says nothing, not even where two rows differ in it."""
        many = np.append(self._equal[row] == 0.0, False)
        codes = self.table.features[one].codes
        column[many[codes[left]] | many[codes[right]]] = 0.0

    def _worth(self, one: Field, row: int) -> Reals:
        """Return the bits that equality in each value of a field is worth."""
        prior, model = PRIORS[one], self.model
        if one in IDENTIFIERS:
            names = self._names[one]
            alike = np.maximum((names - 1) / 4, 2.0 ** -IDENTIFIERS[one]) / model.size
            bits = np.clip(np.log2(model.m[row, Level.EQUAL] / alike), 0.0, prior.rarest)
            return np.where(names >= SHARED_BY, 0.0, bits)
        alike = (np.maximum(self.rows_with(one) - 1, 0) + _BELIEVED_ROWS * prior.u[Level.EQUAL]) / (
            self.rows + _BELIEVED_ROWS
        )
        return np.asarray(np.clip(np.log2(model.m[row, Level.EQUAL] / alike), 0.0, prior.rarest))

    @property
    def rows(self) -> int:
        """How many rows values are counted in."""
        return self.table.size

    def rows_with(self, one: Field) -> npt.NDArray[np.int64]:
        """How many rows have each value of a field."""
        counts = self.table.features[one].shares()
        if one in (Field.GIVEN_NAME, Field.SURNAME):
            # Names that stand in each other's column are as common as they are in either.
            other = Field.SURNAME if one is Field.GIVEN_NAME else Field.GIVEN_NAME
            if other in self.table.features:
                counts = np.maximum(counts, self.table.features[other].shares())
        return counts

    def names_by(self, one: Field) -> Reals:
        """How many names go by each value of an identifier: at least one."""
        codes, values = self.table.features[one].codes, self.table.features[one].values
        given = self.table.features.get(Field.GIVEN_NAME)
        if given is None:
            return np.ones(len(values))
        heads: dict[str, int] = {}
        own = np.fromiter((heads.setdefault(v[:3], len(heads)) for v in given.values), np.int64)
        name = np.append(own, -1)[given.codes]
        known = (codes >= 0) & (name >= 0)
        distinct = np.unique(codes[known].astype(np.int64) * (len(heads) + 1) + name[known])
        counted = np.bincount(distinct // (len(heads) + 1), minlength=len(values))
        return np.maximum(counted, 1).astype(np.float64)

    def forbidden(self, left: Pairs, right: Pairs, levels: Levels) -> Vetoes:
        """Return what forbids each pair, as bits of `Veto`."""
        level = dict(zip(self.model.fields, levels.T, strict=True))
        unknown = np.full(len(left), Level.MISSING, np.int8)
        given, born = level.get(Field.GIVEN_NAME, unknown), level.get(Field.BIRTHDAY, unknown)
        document = level.get(Field.DOCUMENT, unknown)
        # Near is not enough: twins have passports of neighbouring numbers.
        proven = document == Level.EQUAL
        own = np.zeros(len(left), bool)
        for one in (Field.ACCOUNT_ID, Field.LOYALTY_ID):
            own |= level.get(one, unknown) == Level.EQUAL
        if Field.GIVEN_NAME not in level:
            phone, email = (level.get(one, unknown) for one in (Field.PHONE, Field.EMAIL))
            own |= (phone == Level.EQUAL) & (email == Level.EQUAL)
        named = (given >= Level.NEAR) | ((given != Level.DIFFERENT) & (born >= Level.NEAR))
        told = named | proven | own
        found = np.zeros(len(left), np.uint8)
        found[document == Level.DIFFERENT] |= np.uint8(Veto.DOCUMENT)
        found[(born == Level.DIFFERENT) & ~proven] |= np.uint8(Veto.BIRTHDAY)
        found[(given == Level.DIFFERENT) & ~proven] |= np.uint8(Veto.NAME)
        found[~told] |= np.uint8(Veto.HOUSEHOLD)
        if Field.SUFFIX in self.table.features:
            suffix = self.table.features[Field.SUFFIX].codes
            a, b = suffix[left], suffix[right]
            found[(a >= 0) & (b >= 0) & (a != b) & ~proven] |= np.uint8(Veto.NAME)
        return found & np.uint8(self.in_force)
