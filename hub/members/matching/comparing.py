"""Compare pairs of rows, field by field, by levels of agreement. Pure.

Jaro and Winkler's likeness for names and places (Winkler 1990), edits with exchanged neighbours for
numbers and identifiers (Damerau 1964). Most pairs are of common values and have been compared
before: their levels are remembered. Most identifiers have nothing in common, which their pairs of
letters tell faster than their edits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

from hub.members.matching.columns import Field
from hub.members.matching.table import Feature, Table
from hub.members.matching.weights import PRIORS, Level

Pairs = npt.NDArray[np.int32]
Levels = npt.NDArray[np.int8]
Score = Callable[[Feature, Pairs, Pairs], Levels] | None
_CHUNK = 1_000_000
_COMMON = 2048
_UNSEEN = -2
_WIDTH = 32


def compared(table: Table) -> list[Field]:
    """Return the fields that pairs of the table's rows are compared by, in one order always."""
    return [one for one in PRIORS if one in table.features]


def compare(table: Table, left: Pairs, right: Pairs) -> Levels:
    """Return a level for each pair (row) and each field (column) of `compared`."""
    fields = compared(table)
    levels = np.full((len(left), len(fields)), Level.MISSING, np.int8, order="F")
    for start in range(0, len(left), _CHUNK):
        part = slice(start, start + _CHUNK)
        i, j = left[part], right[part]
        for place, one in enumerate(fields):
            feature = table.features[one]
            levels[part, place] = _levels(feature, _SCORES[one], feature.codes[i], feature.codes[j])
        if table.has(Field.GIVEN_NAME, Field.SURNAME):
            given, surname = fields.index(Field.GIVEN_NAME), fields.index(Field.SURNAME)
            _cross(table, i, j, levels[part, given], levels[part, surname])
        if table.has(Field.GIVEN_NAME):
            _tell_apart(table, i, j, levels[part, fields.index(Field.GIVEN_NAME)])
    return levels


def _levels(feature: Feature, score: Score, a: Pairs, b: Pairs) -> Levels:
    levels = np.where(a == b, np.int8(Level.EQUAL), np.int8(Level.DIFFERENT))
    levels[(a < 0) | (b < 0)] = Level.MISSING
    differ = np.flatnonzero(levels == Level.DIFFERENT)
    if len(differ) and score is not None:
        levels[differ] = score(feature, a[differ], b[differ])
    return levels


def _cross(table: Table, left: Pairs, right: Pairs, given: Levels, surname: Levels) -> None:
    """Where names fit better when one row's are exchanged, take them so: Li Wei, Wei Li."""
    givens, surnames = table.features[Field.GIVEN_NAME], table.features[Field.SURNAME]
    poor = np.flatnonzero((np.minimum(given, surname) <= Level.PARTLY) & (given + surname < 4))
    one = _levels(givens, _name, givens.codes[left[poor]], surnames.codes[right[poor]])
    poor, one = poor[one >= Level.NEAR], one[one >= Level.NEAR]
    other = _levels(givens, _name, surnames.codes[left[poor]], givens.codes[right[poor]])
    straight = np.minimum(given[poor], surname[poor])
    better = (other >= Level.NEAR) & (straight < Level.NEAR)
    given[poor[better]], surname[poor[better]] = one[better], other[better]


def _tell_apart(table: Table, left: Pairs, right: Pairs, given: Levels) -> None:
    """What is near or even sounds alike, and still is another name."""
    codes = table.features[Field.GIVEN_NAME].codes
    near = np.flatnonzero(given == Level.NEAR)
    both = table.attested[codes[left[near]]] & table.attested[codes[right[near]]]
    given[near[both]] = Level.PARTLY
    # 王伟 and 王玮 sound alike: near, not equal.
    a, b = table.written[left], table.written[right]
    given[(a >= 0) & (b >= 0) & (a != b) & (given == Level.EQUAL)] = Level.NEAR


def _remembering(direct: Callable[[Feature, Pairs, Pairs], Levels]) -> Score:
    """Compare common values with one another only once."""

    def score(feature: Feature, a: Pairs, b: Pairs) -> Levels:
        rank = feature.once("rank", _ranked)
        x, y = rank[a], rank[b]
        common = (x < _COMMON) & (y < _COMMON)
        levels = np.empty(len(a), np.int8)
        rare = np.flatnonzero(~common)
        levels[rare] = direct(feature, a[rare], b[rare])
        key = x[common] * np.int64(_COMMON) + y[common]
        known = feature.once(direct.__name__, lambda _: np.full(_COMMON**2, _UNSEEN, np.int8))
        asked = np.zeros(_COMMON**2, bool)
        asked[key[known[key] == _UNSEEN]] = True
        new = np.flatnonzero(asked)
        if len(new):
            by_rank = np.argsort(rank).astype(np.int32)
            known[new] = direct(feature, by_rank[new // _COMMON], by_rank[new % _COMMON])
        levels[common] = known[key]
        return levels

    return score


def _ranked(feature: Feature) -> Pairs:
    rank = np.empty(len(feature.values), np.int32)
    rank[np.argsort(-feature.shares(), kind="stable")] = np.arange(len(rank), dtype=np.int32)
    return rank


def _lengths(feature: Feature) -> npt.NDArray[np.int32]:
    return np.fromiter(map(len, feature.values), np.int32, len(feature.values))


def _shorter(feature: Feature, a: Pairs, b: Pairs) -> npt.NDArray[np.int32]:
    lengths = feature.once("lengths", _lengths)
    return np.asarray(np.minimum(lengths[a], lengths[b]))


def _likeness(feature: Feature, a: Pairs, b: Pairs, cutoff: float) -> npt.NDArray[np.float32]:
    return np.asarray(
        process.cpdist(
            feature.values[a], feature.values[b], scorer=JaroWinkler.similarity,
            score_cutoff=cutoff, dtype=np.float32, workers=2,
        )
    )  # fmt: skip


def _names(feature: Feature, a: Pairs, b: Pairs) -> Levels:
    """Short names must fit better, and an initial may stand for its name."""
    levels: Levels = np.digitize(_likeness(feature, a, b, 0.8), (0.8, 0.92)).astype(np.int8)
    short = _shorter(feature, a, b)
    levels -= ((short <= 4) & (levels > 0)).astype(np.int8)
    for k in np.flatnonzero(short == 1):
        same = feature.values[a[k]][0] == feature.values[b[k]][0]
        levels[k] = Level.PARTLY if same else Level.DIFFERENT
    return levels


def _places(feature: Feature, a: Pairs, b: Pairs) -> Levels:
    return np.asarray(np.digitize(_likeness(feature, a, b, 0.85), (0.85, 0.93)).astype(np.int8))


def _letters(feature: Feature) -> npt.NDArray[np.uint8]:
    """The values as rows of bytes, cut off after some."""
    coded = np.array([text.encode()[:_WIDTH] for text in feature.values], f"S{_WIDTH}")
    return coded.view(np.uint8).reshape(-1, _WIDTH)


def _bigrams(feature: Feature) -> npt.NDArray[np.uint64]:
    """Which pairs of letters a value has, as a set of 64."""
    letters = _letters(feature)
    found = np.zeros(len(letters), np.uint64)
    for place in range(_WIDTH - 1):
        one, other = letters[:, place].astype(np.uint64), letters[:, place + 1].astype(np.uint64)
        bit = np.uint64(1) << ((one * np.uint64(31) + other) & np.uint64(63))
        found |= np.where(other > 0, bit, np.uint64(0))
    return found


def _edits(feature: Feature, a: Pairs, b: Pairs) -> npt.NDArray[np.int64]:
    """How many edits lie between values, 3 for more. An edit spoils 6 pairs of letters at most."""
    pairs = feature.once("bigrams", _bigrams)
    edits = np.full(len(a), 3, np.int64)
    close = np.flatnonzero(np.bitwise_count(pairs[a] ^ pairs[b]) <= 2 * 6)
    if len(close):
        edits[close] = process.cpdist(
            feature.values[a[close]], feature.values[b[close]], scorer=OSA.distance,
            score_cutoff=2, dtype=np.int64, workers=2,
        )  # fmt: skip
    return edits


def _numbers(feature: Feature, a: Pairs, b: Pairs) -> Levels:
    """One edit makes two numbers alike, if they are long enough to be told apart otherwise."""
    edits = process.cpdist(
        feature.values[a], feature.values[b], scorer=OSA.distance, score_cutoff=1, dtype=np.int32,
        workers=2,
    )  # fmt: skip
    near = np.where(_shorter(feature, a, b) >= 3, Level.NEAR, Level.PARTLY)
    return np.where(edits == 1, near, Level.DIFFERENT).astype(np.int8)


def _identifier(feature: Feature, a: Pairs, b: Pairs) -> Levels:
    return np.asarray(np.clip(3 - _edits(feature, a, b), 0, Level.NEAR).astype(np.int8))


def mailboxes(feature: Feature) -> Pairs:
    """Number what stands before the @ of each address; -1 where it is too short to tell anybody."""
    known: dict[str, int] = {}
    found = (text[: text.rfind("@")] for text in feature.values)
    return np.fromiter(
        (known.setdefault(box, len(known)) if len(box) >= 5 else -1 for box in found), np.int32
    )


def _email(feature: Feature, a: Pairs, b: Pairs) -> Levels:
    """One edit, or the same mailbox at another provider.

    Namesakes make mailboxes of one name and tell them apart by numbers: where these differ, the
    mailboxes are two, and where there are none, another provider's is anybody's of that name.
    """
    levels = _identifier(feature, a, b)
    box = feature.once("mailbox", mailboxes)
    same = np.flatnonzero((box[a] == box[b]) & (box[a] >= 0) & (levels < Level.NEAR))
    levels[same] = Level.PARTLY
    for k in np.flatnonzero(levels > Level.DIFFERENT):
        x, y = (_digits(feature.values[codes[k]]) for codes in (a, b))
        if x != y:
            levels[k] = Level.DIFFERENT
    without = [k for k in same if not _digits(feature.values[a[k]])]
    levels[without] = Level.DIFFERENT
    return levels


def _digits(address: str) -> str:
    return "".join(filter(str.isdigit, address[: address.rfind("@")]))


def _eight(feature: Feature) -> npt.NDArray[np.uint64]:
    """The eight digits of each day as one number, a byte for each."""
    return np.array(feature.values.tolist(), "S8").view(np.uint64)


_BYTES = np.uint64(0x0101010101010101)
_TOP, _REST = np.uint64(0x8080808080808080), np.uint64(0x7F7F7F7F7F7F7F7F)
_YEAR, _MONTH, _DAY = (
    np.frombuffer(bytes(255 if k in part else 0 for k in range(8)), np.uint64)[0]
    for part in (range(4), range(4, 6), range(6, 8))
)
_ZEROS = _BYTES * np.uint64(ord("0"))


def _birthday(feature: Feature, a: Pairs, b: Pairs) -> Levels:
    """Days of eight digits: near by one digit, by two neighbours or by month and day exchanged,
    partly by two digits or by two of year, month and day. An unknown part (0) says nothing.
    """
    days = feature.once("eight", _eight)
    x, y = days[a], days[b]
    differ = x ^ y
    marks = (((differ & _REST) + _REST) | differ) & _TOP
    wrong = np.bitwise_count(marks)
    parts = [(differ & part) == 0 for part in (_YEAR, _MONTH, _DAY)]
    blank = [((x ^ _ZEROS) & p == 0) | ((y ^ _ZEROS) & p == 0) for p in (_YEAR, _MONTH, _DAY)]
    alike = sum((p & ~z).astype(np.int8) for p, z in zip(parts, blank, strict=True))
    levels = np.where((alike >= 2) | (wrong == 2), Level.PARTLY, Level.DIFFERENT).astype(np.int8)
    levels[(wrong == 1) | _exchanged(x, y, marks, wrong)] = Level.NEAR
    some = np.flatnonzero(blank[0] | blank[1] | blank[2])
    if len(some):
        fits = np.logical_and.reduce([(p | z)[some] for p, z in zip(parts, blank, strict=True)])
        enough = sum((~z[some]).astype(np.int8) for z in blank) >= 2
        told = np.where(enough, np.int8(Level.NEAR), np.int8(Level.MISSING))
        levels[some] = np.where(fits, told, np.int8(Level.DIFFERENT))
    return levels


def _exchanged(x: Any, y: Any, marks: Any, wrong: Any) -> Any:
    """Whether two neighbouring digits, or month and day, have changed places."""
    found = np.zeros(len(x), bool)
    some = np.flatnonzero((wrong >= 2) & (wrong <= 4))
    p = x[some].view(np.uint8).reshape(-1, 8)
    q = y[some].view(np.uint8).reshape(-1, 8)
    swapped = (p[:, :4] == q[:, :4]).all(1) & (p[:, 4:6] == q[:, 6:]).all(1)
    swapped &= (p[:, 6:] == q[:, 4:6]).all(1)
    two = wrong[some] == 2
    for k in range(7):
        swapped |= two & (p[:, k] == q[:, k + 1]) & (p[:, k + 1] == q[:, k]) & (p[:, k] != q[:, k])
    found[some] = swapped
    return found


_name = _remembering(_names)
_place = _remembering(_places)
_number = _remembering(_numbers)
_SCORES: dict[Field, Score] = {
    Field.GIVEN_NAME: _name,
    Field.SURNAME: _name,
    Field.BIRTHDAY: _birthday,
    Field.STREET_NUMBER: _number,
    Field.STREET: _place,
    Field.STREET_2: _place,
    Field.CITY: _place,
    Field.POSTCODE: _number,
    Field.STATE: _number,
    Field.PHONE: _identifier,
    Field.EMAIL: _email,
    Field.DOCUMENT: _identifier,
    Field.LOYALTY_ID: _identifier,
    Field.ACCOUNT_ID: None,
    Field.SEX: None,
}
