"""Which accounts are worth comparing, by keys that can be stored: keyed hashes of rare things.

A key is one pass of `blocking` for one account: what the pass wants to agree, mixed into 64 bits,
of which the lowest say which pass it is. Accounts that share a key are compared, unless so many
share it that it says little: how many is learnt by a full run, for each pass.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from hub.members.matching.columns import Field
from hub.members.matching.population import Marker, Marks
from hub.members.matching.table import Table

Keys = npt.NDArray[np.int64]
NONE = 0
PASSES: tuple[tuple[str, ...], ...] = (
    ("document",),
    ("account_id",),
    ("loyalty_id",),
    ("email",),
    ("phone",),
    ("openid",),
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
    ("mailbox",),
)
_PASS_BITS = 5
_LARGEST_GROUP = 400
_PAIRS_PER_ACCOUNT = 2
_AT_LEAST_PAIRS = 200_000
CUTS = {
    "year": (Field.BIRTHDAY, slice(0, 4)),
    "month": (Field.BIRTHDAY, slice(4, 6)),
    "day": (Field.BIRTHDAY, slice(6, 8)),
    "given_head": (Field.GIVEN_NAME, slice(0, 3)),
    "surname_head": (Field.SURNAME, slice(0, 3)),
}


def keys(table: Table, marker: Marker, also: Mapping[str, Marks]) -> Keys:
    """Return a key for each account (row) and pass (column), NONE where it lacks a part.

    `also` holds the marks of accounts for parts that the table has no field for, 0 for none.
    """
    parts: dict[str, Marks] = dict(also)
    found = np.zeros((len(table.rows), len(PASSES)), np.int64)
    for column, wanted in enumerate(PASSES):
        for name in wanted:
            if name not in parts:
                parts[name] = _part(table, marker, name)[table.rows]
        mixed = _mixed([parts[name] for name in wanted])
        found[:, column] = np.where(
            mixed == 0, 0, (mixed >> np.uint64(_PASS_BITS) << np.uint64(_PASS_BITS)) | column + 1
        ).view(np.int64)
    return found


def pass_of(key: int) -> int:
    """Return which of PASSES a key belongs to."""
    number: int = (key & (2**_PASS_BITS - 1)) - 1
    return number


def limits(found: Keys) -> list[int]:
    """Return for each pass how many accounts may share a key of it, such that the pairs are few."""
    room = max(_AT_LEAST_PAIRS, _PAIRS_PER_ACCOUNT * len(found))
    sizes = np.arange(_LARGEST_GROUP + 2)
    largest = []
    for column in found.T:
        _, counts = np.unique(column[column != NONE], return_counts=True)
        groups = np.bincount(np.minimum(counts, _LARGEST_GROUP + 1), minlength=_LARGEST_GROUP + 2)
        pairs = np.cumsum(groups * sizes * (sizes - 1) // 2)
        fits = np.flatnonzero(pairs[: _LARGEST_GROUP + 1] <= room)
        largest.append(int(fits[-1]) if len(fits) else 0)
    return largest


def groups(found: Keys, largest: list[int]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the accounts that share a key, as rows of arrays of groups of one size."""
    for column, limit in zip(found.T, largest, strict=True):
        order = np.argsort(column, kind="stable")
        order = order[column[order] != NONE]
        ordered = column[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])
        lengths = np.diff(np.r_[starts, len(ordered)])
        for length in range(2, limit + 1):
            chosen = starts[lengths == length]
            if len(chosen):
                yield order[chosen[:, None] + np.arange(length)]


def pairs(found: Keys, largest: list[int]) -> npt.NDArray[np.int64]:
    """Return all pairs of accounts that share a key, each once, the lower one left."""
    packed = [np.empty(0, np.int64)]
    for together in groups(found, largest):
        i, j = np.triu_indices(together.shape[1], 1)
        # Sorting was stable: within a group the lower account comes first.
        packed.append((together[:, i].ravel() << 32) | together[:, j].ravel())
    distinct = np.unique(np.concatenate(packed))
    return np.stack([distinct >> 32, distinct & 0xFFFFFFFF], 1)


def _part(table: Table, marker: Marker, name: str) -> Marks:
    """The mark of a part for every row of the table; 0 for none."""
    features = table.features
    if name == "names":
        given, surname = (_part(table, marker, one) for one in ("given_name", "surname"))
        some = (given != 0) & (surname != 0)
        both = [np.minimum(given, surname), np.maximum(given, surname)]
        return np.where(some, _mixed(both), np.uint64(0))
    field, cut = (Field.EMAIL, None) if name == "mailbox" else CUTS.get(name, (None, None))
    if field is None:
        one = Field(name) if name in set(Field) else None
        if one is None or one not in features:
            return np.zeros(table.size, np.uint64)
        return np.append(marker.of(table, one), np.uint64(0))[features[one].codes]
    if field not in features:
        return np.zeros(table.size, np.uint64)
    values = features[field].values
    texts = [_mailbox(value) if cut is None else value[cut] for value in values]
    own = np.zeros(len(values) + 1, np.uint64)
    known: dict[str, int] = {}
    for place, text in enumerate(texts):
        if text.strip("0"):
            if text not in known:
                known[text] = marker.one(name, text)
            own[place] = known[text]
    return own[features[field].codes]


def _mailbox(email: str) -> str:
    box = email[: email.rfind("@")]
    return box if len(box) >= 5 else ""


def _mixed(parts: list[Marks]) -> Marks:
    """One mark of several; 0 if any is missing."""
    mixed, some = parts[0].copy(), parts[0] != 0
    with np.errstate(over="ignore"):
        for part in parts[1:]:
            some &= part != 0
            mixed = (mixed * np.uint64(0x9E3779B97F4A7C15)) ^ part
            mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
    return np.where(some, np.where(mixed < 2**_PASS_BITS, np.uint64(2**_PASS_BITS), mixed), 0)
