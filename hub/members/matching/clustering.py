"""From weighed pairs to people: edges by falling weight, as long as no rule is broken. Pure.

Two groups become one if nobody in one is forbidden to be anybody in the other, if the pairs
between them weigh enough on average, and if the result is not larger than people are.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from hub.members.matching.comparing import Pairs
from hub.members.matching.scoring import Scored

Labels = npt.NDArray[np.int64]
LARGEST = 12
"""So many different rows, at most, are one person."""
_MEAN_BITS = 0.0
_TORN_BITS = 6.0
_NOTHING = (-50.0, False)
_RIVAL_BITS = 5.0
"""From here on a row is heard as a rival, however much more it takes to unite rows."""
_WHOLE = 200
"""In a component of up to so many rows every pair is weighed; in a larger one only candidates."""


def cluster(
    size: int,
    edges: Scored,
    weigh: Callable[[Pairs, Pairs], Scored],
    *,
    at_least: float,
    largest: int = LARGEST,
) -> Labels:
    """Return for each row the lowest row of its person.

    `edges` are candidate pairs, `weigh` weighs any others.
    """
    strong = (edges.bits >= at_least) & (edges.vetoes == 0)
    near = (edges.bits >= min(at_least, _RIVAL_BITS)) & (edges.vetoes == 0)
    parent = np.arange(size)
    component = _components(size, edges.left[near], edges.right[near])
    united = np.zeros(size, bool)
    united[component[edges.left[strong]]] = True
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero(united[component]).tolist():
        members.setdefault(int(component[row]), []).append(row)
    pairs = [rows for rows in members.values() if len(rows) == 2]
    if pairs:
        both = np.array(pairs)
        parent[both[:, 1]] = both[:, 0]
    crowds = [rows for rows in members.values() if len(rows) > 2]
    for rows, known in _weighed(crowds, edges, weigh, all_of_them=at_least > _RIVAL_BITS):
        if known is None and len(rows) <= largest:
            parent[rows] = rows[0]
            continue
        known = _known(edges, rows) if known is None else known  # noqa: PLW2901
        for group in _agglomerate(rows, known, at_least, largest):
            parent[group] = min(group)
    return parent


def _components(size: int, left: Pairs, right: Pairs) -> Labels:
    """The lowest row that edges lead to, by pointer jumping."""
    label = np.arange(size)
    while True:
        low = np.minimum(label[left], label[right])
        before = label.copy()
        np.minimum.at(label, left, low)
        np.minimum.at(label, right, low)
        np.minimum.at(label, before[left], low)
        np.minimum.at(label, before[right], low)
        label = label[label]
        if np.array_equal(label, before):
            return label


Known = dict[tuple[int, int], tuple[float, bool]]


def _weighed(
    crowds: list[list[int]],
    edges: Scored,
    weigh: Callable[[Pairs, Pairs], Scored],
    *,
    all_of_them: bool,
) -> list[tuple[list[int], Known | None]]:
    """Weigh all pairs within each crowd at once, and hand them to their crowds.

    Unless `all_of_them` are wanted, a crowd in which nothing speaks against anybody gets none: it
    is one person.
    """
    whole = [rows for rows in crowds if len(rows) <= _WHOLE]
    vast = [rows for rows in crowds if len(rows) > _WHOLE]
    lefts, rights, owners = [], [], []
    for number, rows in enumerate(whole):
        i, j = _corners(len(rows))
        ordered = np.array(rows, np.int32)
        lefts.append(ordered[i])
        rights.append(ordered[j])
        owners.append(np.full(len(i), number))
    found: list[tuple[list[int], Known | None]] = [(rows, None) for rows in whole]
    if lefts:
        scored, owner = weigh(np.concatenate(lefts), np.concatenate(rights)), np.concatenate(owners)
        torn = np.full(len(whole), all_of_them)
        torn[owner[(scored.vetoes != 0) | (scored.bits < _MEAN_BITS)]] = True
        for number in np.flatnonzero(torn).tolist():
            found[number] = whole[number], {}
        some = np.flatnonzero(torn[owner])
        for number, i, j, bits, veto in zip(
            owner[some].tolist(),
            scored.left[some].tolist(),
            scored.right[some].tolist(),
            scored.bits[some].tolist(),
            (scored.vetoes[some] != 0).tolist(),
            strict=True,
        ):
            known = found[number][1]
            if known is not None:
                known[i, j] = bits, veto
    return found + [(rows, _known(edges, rows)) for rows in vast]


@cache
def _corners(size: int) -> tuple[Labels, Labels]:
    """All pairs of so many rows."""
    i, j = np.triu_indices(size, 1)
    return i, j


def _known(edges: Scored, rows: list[int]) -> Known:
    inside = np.isin(edges.left, rows) & np.isin(edges.right, rows)
    return {
        (i, j): (bits, veto)
        for i, j, bits, veto in zip(
            edges.left[inside].tolist(),
            edges.right[inside].tolist(),
            edges.bits[inside].tolist(),
            (edges.vetoes[inside] != 0).tolist(),
            strict=True,
        )
    }


def _agglomerate(rows: list[int], known: Known, at_least: float, largest: int) -> list[list[int]]:
    """Unite rows along edges by falling weight, unless a rule forbids it."""
    group = {row: [row] for row in rows}
    edges = sorted(
        (-bits, i, j) for (i, j), (bits, veto) in known.items() if bits >= at_least and not veto
    )
    for weight, i, j in edges:
        one, other = group[i], group[j]
        if one is other or len(one) + len(other) > largest:
            continue
        # A pair that was not even a candidate has so little in common that it must not be united.
        between = [known.get((min(a, b), max(a, b)), (-50.0, True)) for a in one for b in other]
        if any(veto for _, veto in between):
            continue
        if _torn(one, other, group, known, -weight):
            continue
        if sum(bits for bits, _ in between) / len(between) < _MEAN_BITS:
            continue
        one.extend(other)
        for row in other:
            group[row] = one
    return list({id(rows): rows for rows in group.values()}.values())


def _torn(
    one: list[int], other: list[int], group: dict[int, list[int]], known: Known, bits: float
) -> bool:
    """Say whether either side might as well belong to somebody whom the other side cannot be.

    A father and his son of one name are forbidden to be one; what says of neither birthday which
    of them it is of is left alone.
    """
    rivals = {id(rows): rows for rows in group.values()}
    for rows in rivals.values():
        if rows is one or rows is other:
            continue
        for near, far in ((one, other), (other, one)):
            best = max(
                (known.get((min(a, c), max(a, c)), _NOTHING) for a in near for c in rows),
                key=lambda found: -100.0 if found[1] else found[0],
            )
            if best[1] or best[0] < bits - _TORN_BITS:
                continue
            if any(known.get((min(b, c), max(b, c)), _NOTHING)[1] for b in far for c in rows):
                return True
    return False
