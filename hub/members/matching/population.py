"""What is common among all members, kept apart from any table of some of them. Pure.

A full run learns weights and counts values; every run until the next full one weighs by these. So
what two accounts weigh depends on nobody else, and a run over those that changed comes to what a
run over all would. Values are known by keyed hashes: a model tells nobody's name.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from hub.members.matching.columns import Field
from hub.members.matching.scoring import Scorer
from hub.members.matching.table import MISSING, Feature, Table
from hub.members.matching.training import Model, Reals
from hub.members.matching.weights import IDENTIFIERS, Level, Veto

Marks = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
_NAMES = (Field.GIVEN_NAME, Field.SURNAME)
_COUNTED_FROM = 4
"""A value of fewer rows is as good as unique."""


def mark(secret: bytes, kind: str, value: str) -> int:
    """Return 64 bits that stand for a value, and tell nothing of it without the secret; never 0."""
    digest = blake2b(value.encode(), digest_size=8, key=secret, person=kind.encode()[:16]).digest()
    return int.from_bytes(digest, "little") or 1


class Marker:
    """Marks values under one secret, those of a table once."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._known: dict[tuple[str, int], tuple[Any, Marks]] = {}

    def each(self, kind: str, values: Iterable[str]) -> Marks:
        """Return the marks of several values of a kind."""
        return np.array([self.one(kind, value) for value in values], np.uint64)

    def one(self, kind: str, value: str) -> int:
        """Return the mark of a value."""
        return mark(self._secret, kind, value)

    def of(self, table: Table, one: Field) -> Marks:
        """Return the marks of a field's values; given names and surnames are marked alike."""
        values = table.features[one].values
        kind = "name" if one in _NAMES else one.value
        # The values are kept beside their marks: no other array can have their id meanwhile.
        known = self._known.get((kind, id(values)))
        if known is None:
            known = self._known[kind, id(values)] = values, self.each(kind, values)
        return known[1]


@dataclass(frozen=True, slots=True)
class Population:
    """How many rows have each common value, or how many names go by it, by sorted marks."""

    rows: int
    counts: dict[Field, tuple[Marks, Counts]] = field(default_factory=dict)

    def of(self, one: Field, wanted: Marks) -> Counts:
        """Return the count of each value; 1 for one that is not known."""
        known, counts = self.counts.get(one, (np.empty(0, np.uint64), np.empty(0, np.int64)))
        if not len(known):
            return np.ones(len(wanted), np.int64)
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[place] == wanted, counts[place], 1)

    def pack(self) -> bytes:
        """Return it as bytes, for storage."""
        arrays: dict[str, Any] = {}
        for one, (known, counts) in self.counts.items():
            arrays[f"{one.value}.marks"], arrays[f"{one.value}.counts"] = known, counts
        out = BytesIO()
        np.savez_compressed(out, rows=np.array(self.rows), **arrays)
        return out.getvalue()

    @classmethod
    def unpack(cls, packed: bytes) -> "Population":
        """Return what `pack` had packed."""
        with np.load(BytesIO(packed), allow_pickle=False) as arrays:
            fields = {name.removesuffix(".marks") for name in arrays if name.endswith(".marks")}
            counts = {Field(f): (arrays[f"{f}.marks"], arrays[f"{f}.counts"]) for f in fields}
            return cls(int(arrays["rows"]), counts)


def count(scorer: Scorer, marker: Marker) -> Population:
    """Count the values of the table that a scorer weighs."""
    counted: dict[Field, tuple[Marks, Counts]] = {}
    for one in scorer.model.fields:
        identifies = one in IDENTIFIERS
        found = scorer.names_by(one).astype(np.int64) if identifies else scorer.rows_with(one)
        kept = np.flatnonzero(found >= (2 if identifies else _COUNTED_FROM))
        own = marker.of(scorer.table, one)[kept]
        order = np.argsort(own)
        counted[one] = own[order], found[kept][order]
    return Population(scorer.table.size, counted)


class PopulationScorer(Scorer):
    """Weighs pairs of a table of some members by what is common among all of them."""

    def __init__(self, table: Table, model: Model, population: Population, marker: Marker) -> None:
        self._population, self._marker = population, marker
        super().__init__(with_fields(table, model.fields), model)
        self.in_force = Veto.ALL

    @property
    def rows(self) -> int:
        """How many rows values were counted in."""
        return self._population.rows

    def rows_with(self, one: Field) -> Counts:
        """How many rows of the population have each value of a field."""
        return self._population.of(one, self._marker.of(self.table, one))

    def names_by(self, one: Field) -> Reals:
        """How many names in the population go by each value of an identifier."""
        return self.rows_with(one).astype(np.float64)


def with_fields(table: Table, fields: list[Field]) -> Table:
    """Return a table that has just these fields (and suffixes), empty where it had none."""
    nothing = Feature(np.full(table.size, MISSING, np.int32), np.empty(0, object))
    features = {one: table.features.get(one, nothing) for one in fields}
    if Field.SUFFIX in table.features:
        features[Field.SUFFIX] = table.features[Field.SUFFIX]
    return Table(table.size, features, table.written, table.rows)


def dump(model: Model) -> dict[str, Any]:
    """Return a model's weights as plain values, for storage."""
    return {
        "fields": [one.value for one in model.fields],
        "weights": model.weights.tolist(),
        "m": model.m.tolist(),
        "prior": model.prior,
        "size": model.size,
    }


def load(stored: dict[str, Any]) -> Model:
    """Return what `dump` had made of a model."""
    levels = (-1, Level.EQUAL + 1)
    return Model(
        fields=[Field(one) for one in stored["fields"]],
        weights=np.array(stored["weights"], np.float64).reshape(levels),
        m=np.array(stored["m"], np.float64).reshape(levels),
        prior=float(stored["prior"]),
        size=int(stored["size"]),
    )
