"""Which pairs are worth comparing: rows that have some rare thing in common. Pure.

Of a small table every pair is. Of a large one, each pass groups rows by a key, and a group is
taken if it is small: what many have in common says little, and rows of one person that share a
common thing share a rarer one too.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hub.members.matching.columns import Field
from hub.members.matching.comparing import Pairs, mailboxes
from hub.members.matching.keys import CUTS
from hub.members.matching.table import Feature, Table

Keys = npt.NDArray[np.int64]
ALL_PAIRS = 700
"""Up to so many rows, all pairs are compared."""
_PAIRS_PER_ROW, _WEAK_PAIRS_PER_ROW = 1.0, 0.3
_AT_LEAST_PAIRS = 400_000
_LARGEST_GROUP = 400

# Passes that find few people whom no other finds.
_WEAK = {
    ("birthday",),
    ("given_name", "month", "day"),
    ("surname", "postcode"),
    ("given_name", "postcode"),
    ("surname", "city"),
    ("given_name", "city"),
    ("street", "postcode"),
    ("postcode", "street_number"),
    ("given_head", "surname_head"),
}

# Each pass is the parts of its key. Those that hold a whole birthday, name or identifier also
# train the weights of the others (hub.members.matching.training).
PASSES: tuple[tuple[str, ...], ...] = (
    ("document",),
    ("account_id",),
    ("loyalty_id",),
    ("email",),
    ("phone",),
    ("names", "birthday"),
    ("birthday",),
    ("names",),
    ("given_name", "year", "month"),
    ("given_name", "year", "day"),
    ("given_name", "month", "day"),
    ("surname", "year", "month"),
    ("surname", "year", "day"),
    ("surname", "month", "day"),
    ("given_head", "surname_head", "year"),
    ("surname", "postcode"),
    ("given_name", "postcode"),
    ("surname", "city"),
    ("given_name", "city"),
    ("street", "street_number"),
    ("street", "postcode"),
    ("postcode", "street_number"),
    ("street", "given_name"),
    ("street", "surname"),
    ("mailbox",),
    ("given_head", "surname_head"),
)


def candidates(table: Table) -> tuple[Pairs, Pairs]:
    """Return pairs of rows to compare, each once, the lower row left, in order."""
    if table.size <= ALL_PAIRS:
        left, right = np.triu_indices(table.size, 1)
        return left.astype(np.int32), right.astype(np.int32)
    found = [left.astype(np.int64) * table.size + right for _, left, right in passes(table)]
    pairs = np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)
    del found
    # Sorting and looking at neighbours is many times faster than np.unique here.
    pairs = pairs[np.r_[True, pairs[1:] != pairs[:-1]]] if len(pairs) else pairs
    return (pairs // table.size).astype(np.int32), (pairs % table.size).astype(np.int32)


def passes(
    table: Table, wanted: tuple[tuple[str, ...], ...] = PASSES
) -> Iterator[tuple[tuple[str, ...], Pairs, Pairs]]:
    """Yield each pass that the table has the fields for, with its pairs."""
    parts: dict[str, Keys | None] = {}
    for one in wanted:
        for name in one:
            if name not in parts:
                parts[name] = _part(table, name)
        keys = [parts[name] for name in one]
        if all(key is not None for key in keys):
            left, right = _pairs(
                _joined([key for key in keys if key is not None]),
                max(_AT_LEAST_PAIRS, round(table.size * _room(one))),
            )
            if len(left):
                yield one, left, right


def _part(table: Table, name: str) -> Keys | None:
    """A part of a key for every row, -1 for none; None when the table lacks the field."""
    features = table.features
    if name in CUTS:
        field, cut = CUTS[name]
        return _derived(features.get(field), cut)
    if name == "mailbox":
        return _mailbox(features.get(Field.EMAIL))
    if name == "names":
        if not table.has(Field.GIVEN_NAME, Field.SURNAME):
            return None
        a, b = features[Field.GIVEN_NAME].codes, features[Field.SURNAME].codes
        low, high = np.minimum(a, b).astype(np.int64), np.maximum(a, b)
        return np.where(low < 0, -1, low << 32 | high)
    feature = features.get(Field(name))
    return None if feature is None else feature.codes.astype(np.int64)


def _derived(feature: Feature | None, cut: slice) -> Keys | None:
    if feature is None:
        return None
    return _numbered(feature, (value[cut] for value in feature.values))


def _mailbox(feature: Feature | None) -> Keys | None:
    if feature is None:
        return None
    return np.append(feature.once("mailbox", mailboxes), -1)[feature.codes].astype(np.int64)


def _numbered(feature: Feature, texts: Iterator[str | None]) -> Keys:
    known: dict[str, int] = {}
    own = np.fromiter(
        (-1 if text is None or text.strip("0") == "" else known.setdefault(text, len(known))
         for text in texts), np.int64,
    )  # fmt: skip
    return np.append(own, -1)[feature.codes]


def _joined(parts: list[Keys]) -> Keys:
    """One key of several parts; missing if any part is. Equal parts give equal keys; that others
    do too has a chance of one in 2**62, and would only cost a comparison.
    """
    key = parts[0]
    for part in parts[1:]:
        with np.errstate(over="ignore"):
            mixed = (key * np.int64(0x2545F4914F6CDD1D) ^ part) * np.int64(0x1B03738712FAD5C9)
        mixed = (mixed ^ mixed >> 32) & np.int64(0x7FFFFFFFFFFFFFFF)
        key = np.where((key < 0) | (part < 0), -1, mixed)
    return key


def _room(one: tuple[str, ...]) -> float:
    return _WEAK_PAIRS_PER_ROW if one in _WEAK else _PAIRS_PER_ROW


def _pairs(key: Keys, room: int) -> tuple[Pairs, Pairs]:
    """All pairs within the smallest groups, as many groups as there is room for."""
    order = np.argsort(key, kind="stable")
    order = order[np.searchsorted(key[order], 0) :]
    ordered = key[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else order[:0]
    lengths = np.diff(np.r_[starts, len(ordered)])
    limit = _limit(lengths, room)
    left, right = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for length in range(2, limit + 1):
        groups = starts[lengths == length]
        if len(groups):
            members = order[groups[:, None] + np.arange(length)]
            i, j = np.triu_indices(length, 1)
            left.append(members[:, i].ravel().astype(np.int32))
            right.append(members[:, j].ravel().astype(np.int32))
    # Sorting is stable: within a group the lower row comes first.
    return np.concatenate(left), np.concatenate(right)


def _limit(lengths: npt.NDArray[np.int64], room: int) -> int:
    """The largest length of groups such that all up to it fit into the room for pairs."""
    counts = np.bincount(np.minimum(lengths, _LARGEST_GROUP + 1), minlength=_LARGEST_GROUP + 2)
    sizes = np.arange(len(counts))
    total = np.cumsum(counts * sizes * (sizes - 1) // 2)
    fits = np.flatnonzero(total[: _LARGEST_GROUP + 1] <= room)
    return int(fits[-1]) if len(fits) else 0
