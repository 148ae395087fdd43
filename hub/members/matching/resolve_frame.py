"""Resolve a table: which of its rows are one person? For whoever has a file and no hub."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hub.members.matching import blocking, clustering, columns, reading, table
from hub.members.matching.comparing import compared
from hub.members.matching.households import relatives
from hub.members.matching.scoring import Scored, Scorer
from hub.members.matching.thresholds import threshold
from hub.members.matching.training import train

RELATED_BITS = -12.0
_WEIGHTY_BITS = 5.0


@dataclass(frozen=True, slots=True)
class Findings:
    """A label per row, which columns were read as what, and those that were not."""

    labels: npt.NDArray[np.int64]
    used: dict[str, list[str]]
    unused: list[str]
    people: int


def resolve_frame(
    records: Any,
    *,
    columns: Mapping[str, str] | None = None,
    strict: bool = False,
    at_least: float | None = None,
) -> npt.NDArray[np.int64]:
    """Return a label for each row of a table, in its order: rows of one person have one label.

    `records` is a pandas or Arrow table, or a mapping of names to columns of one length. What a
    column says is told by its name (hub.members.matching.columns); `columns` overrides that by
    names of fields, '' for a column to leave out. Labels count from 0 as they are met. Nothing is
    stored, nothing else is read, and the same rows in another order are grouped alike.

    From which weight on rows are one person is told by the table itself
    (hub.members.matching.thresholds); `strict` allows for a tenth of the false pairs. `at_least`
    sets the weight, in bits: 10 is a thousand to one. Raises Malformed for what is no table, and
    for a column or field in `columns` that there is not.
    """
    return find(records, chosen=columns, strict=strict, at_least=at_least).labels


def find(
    records: Any,
    *,
    chosen: Mapping[str, str] | None = None,
    strict: bool = False,
    at_least: float | None = None,
    tell: Callable[[str], None] = lambda step: None,
) -> Findings:
    """Do what `resolve_frame` does, and say how columns were read. `tell` hears of each step."""
    names, size = reading.shape(records)
    fields, unused = columns.detect(names, chosen)
    used = {one.value: [str(names[place]) for place in places] for one, places in fields.items()}
    tell("reading")
    cells = {
        one: [partial(reading.column, records, place) for place in places]
        for one, places in fields.items()
    }
    labels = _label(table.build(cells, size), tell, strict=strict, at_least=at_least)
    people = int(labels.max(initial=-1)) + 1
    return Findings(labels, used, [str(names[place]) for place in unused], people)


def _label(
    people: table.Table, tell: Callable[[str], None], *, strict: bool, at_least: float | None
) -> Any:
    if not compared(people):  # what is there tells nobody: a suffix alone
        return np.arange(len(people.rows))
    tell("learning")
    scorer = Scorer(people, train(people))
    tell("comparing")
    edges = weigh(scorer)
    tell("grouping")
    least = threshold(edges, strict=strict) if at_least is None else at_least
    person = clustering.cluster(people.size, edges, scorer.score, at_least=least)
    # Rows that say the same are one person only if what they say would tell a person.
    alone = np.arange(people.size, dtype=np.int32)
    itself = scorer.score(alone, alone)
    enough = (itself.bits >= least) & (itself.vetoes == 0)
    enough |= np.bincount(person, minlength=people.size)[person] > 1
    rows = people.rows
    apart = np.where(enough[rows], person[rows], people.size + np.arange(len(rows)))
    return _as_met(apart)


def weigh(scorer: Scorer) -> Scored:
    """Weigh all pairs of a table that have something in common, against strangers and relatives.

    The scorer learns what relatives there are, and keeps it.
    """
    edges = scorer.score(*blocking.candidates(scorer.table), above=RELATED_BITS)
    found = relatives(
        scorer.model,
        edges.levels,
        scorer.home_bits(edges),
        edges.bits >= _WEIGHTY_BITS,
        scorer.years(edges),
    )
    if found is None:
        return edges
    scorer.reckon_with(found)
    return scorer.again(edges)


def _as_met(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number labels from 0 in the order in which they are met."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
