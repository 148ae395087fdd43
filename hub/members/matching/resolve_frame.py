"""Resolve a table: which of its rows are one person? For whoever has a file and no hub."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hub.errors import Malformed
from hub.members.matching import blocking, clustering, columns, table
from hub.members.matching.households import relatives
from hub.members.matching.scoring import Scored, Scorer
from hub.members.matching.training import train
from hub.members.matching.weights import NO_FAMILIES_ALIKE_BITS, NO_FAMILIES_PLACE_BITS, Veto

RELATED_BITS = -12.0
FALSE_SHARE = 1e-3
LEAST_BITS = 3.3
SURE_BITS = 6.6
AT_LEAST_BITS = 10.0
"""Rows are made one from a thousand to one on. A false merge costs more than ten misses."""


@dataclass(frozen=True, slots=True)
class Findings:
    """A label per row, which columns were read as what, and those that were not."""

    labels: npt.NDArray[np.int64]
    used: dict[str, list[str]]
    unused: list[str]


def resolve_frame(
    records: Any,
    *,
    columns: Mapping[str, str] | None = None,
    at_least: float | None = None,
    false_share: float = FALSE_SHARE,
) -> npt.NDArray[np.int64]:
    """Return a label for each row of a table, in its order: rows of one person have one label.

    `records` is a pandas or Arrow table, or a mapping of names to columns of one length. What a
    column says is told by its name (hub.members.matching.columns); `columns` overrides that by
    names of fields, '' for a column to leave out. Labels count from 0 as they are met. Nothing is
    stored, nothing else is read, and the same rows in another order are grouped alike.

    `at_least` is the weight in bits from which rows are one: 10 is a thousand to one. Raises
    Malformed for what is no table, and for a column or field in `columns` that there is not.
    """
    return find(records, chosen=columns, at_least=at_least, false_share=false_share).labels


def find(
    records: Any,
    *,
    chosen: Mapping[str, str] | None = None,
    at_least: float | None = None,
    false_share: float = FALSE_SHARE,
    tell: Callable[[str], None] = lambda step: None,
) -> Findings:
    """Do what `resolve_frame` does, and say how columns were read. `tell` hears of each step."""
    names, size = _shape(records)
    fields, unused = columns.detect(names, chosen)
    used = {one.value: [str(c) for c in found] for one, found in fields.items()}
    tell("reading")
    people = table.build({f: [_cells(records, c) for c in cs] for f, cs in fields.items()}, size)
    labels = _label(people, at_least, false_share, tell)
    return Findings(labels, used, [str(column) for column in unused])


def _label(people: table.Table, at_least: float | None, false_share: float, tell: Callable[[str], None]) -> Any:
    if not people.features:
        return np.arange(len(people.rows))
    tell("learning")
    scorer = Scorer(people, train(people))
    tell("comparing")
    edges = scorer.score(*blocking.candidates(people), above=RELATED_BITS)
    scorer.relatives = relatives(
        scorer.model,
        edges.levels,
        scorer.home_bits(edges),
        edges.bits >= AT_LEAST_BITS - 5,
        scorer.years(edges),
    )
    if scorer.relatives is not None:
        if scorer.relatives.none:
            scorer.in_force = Veto(0)
            scorer.place_bits = NO_FAMILIES_PLACE_BITS
            scorer.alike_bits = NO_FAMILIES_ALIKE_BITS
        edges = scorer.again(edges)
    at_least = threshold(edges, false_share) if at_least is None else at_least
    tell("grouping")
    person = clustering.cluster(people.size, edges, scorer.score, at_least=at_least)
    # Rows that say the same are one person only if what they say would tell a person.
    alone = np.arange(people.size, dtype=np.int32)
    itself = scorer.score(alone, alone)
    enough = (itself.bits >= at_least) & (itself.vetoes == 0)
    rows = people.rows
    apart = np.where(enough[rows], person[rows], people.size + np.arange(len(rows)))
    return _as_met(apart)


def threshold(edges: Scored, false_share: float) -> float:
    """Return the least weight from which no more than a share of the pairs is expected false."""
    bits = np.sort(edges.bits[(edges.vetoes == 0) & (edges.bits >= LEAST_BITS)])[::-1]
    if not len(bits):
        return AT_LEAST_BITS
    expected = np.cumsum(1 / (1 + np.exp2(bits))) / np.arange(1, len(bits) + 1)
    good = np.flatnonzero(expected <= false_share)
    least = float(bits[good[-1]]) if len(good) else float(bits[0]) + 1
    return min(least, SURE_BITS)


def _as_met(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number labels from 0 in the order in which they are met."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _shape(records: Any) -> tuple[list[object], int]:
    """Return the names of a table's columns and the number of its rows."""
    if isinstance(records, Mapping):
        lengths = {len(column) for column in records.values()}
        if len(lengths) > 1:
            raise Malformed("the columns have different lengths", field="records")
        return list(records), next(iter(lengths), 0)
    if hasattr(records, "column_names") and hasattr(records, "num_rows"):
        return list(records.column_names), int(records.num_rows)
    if hasattr(records, "columns") and hasattr(records, "iloc"):
        return list(records.columns), len(records)
    raise Malformed(
        "a pandas or Arrow table, or a mapping of names to columns, was expected", field="records"
    )


def _cells(records: Any, column: object) -> Sequence[Any]:
    """Return a column's cells as Python objects, whatever kind of table it is."""
    if isinstance(records, Mapping):
        found = records[column]
    elif hasattr(records, "column_names"):
        found = records.column(column)
    else:
        found = records.iloc[:, list(records.columns).index(column)]
    if hasattr(found, "to_pylist"):
        return list(found.to_pylist())
    if hasattr(found, "astype") and hasattr(found, "to_numpy"):
        return list(found.astype(object).to_numpy())
    return list(found)
