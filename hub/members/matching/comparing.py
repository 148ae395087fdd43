"""Compare pairs of rows, field by field, by levels of agreement. Pure."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

from hub.members.matching.columns import Field
from hub.members.matching.table import Feature, Table, Texts
from hub.members.matching.weights import PRIORS, Level

Pairs = npt.NDArray[np.int32]
Levels = npt.NDArray[np.int8]
_CHUNK = 1_000_000


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
            levels[part, place] = _compare(table.features[one], _SCORERS[one], i, j)
        if table.has(Field.GIVEN_NAME, Field.SURNAME):
            given, surname = fields.index(Field.GIVEN_NAME), fields.index(Field.SURNAME)
            crossed = _crossed(table, i, j, levels[part, given], levels[part, surname])
            levels[part, given], levels[part, surname] = crossed
            x, y = table.features[Field.GIVEN_NAME].codes[i], table.features[Field.GIVEN_NAME].codes[j]
            two = (levels[part, given] == Level.NEAR) & table.attested[x] & table.attested[y]
            levels[part, given][two] = Level.PARTLY
            # 王伟 and 王玮 sound alike: near, not equal.
            a, b = table.written[i], table.written[j]
            other = (a >= 0) & (b >= 0) & (a != b) & (levels[part, given] == Level.EQUAL)
            levels[part, given][other] = Level.NEAR
    return levels


def _compare(feature: Feature, score: "Scorer", left: Pairs, right: Pairs) -> Levels:
    a, b = feature.codes[left], feature.codes[right]
    return _levels(feature.values, score, a, b)


def _levels(values: Texts, score: "Scorer", a: Pairs, b: Pairs) -> Levels:
    levels = np.where(a == b, np.int8(Level.EQUAL), np.int8(Level.DIFFERENT))
    levels[(a < 0) | (b < 0)] = Level.MISSING
    differ = np.flatnonzero(levels == Level.DIFFERENT)
    if len(differ) and score is not None:
        levels[differ] = score(values[a[differ]], values[b[differ]])
    return levels


def _crossed(
    table: Table, left: Pairs, right: Pairs, given: Levels, surname: Levels
) -> tuple[Levels, Levels]:
    """Where names fit better when one row's are exchanged, take them so: Li Wei, Wei Li."""
    given, surname = given.copy(), surname.copy()
    givens, surnames = table.features[Field.GIVEN_NAME], table.features[Field.SURNAME]
    poor = np.flatnonzero((np.minimum(given, surname) <= Level.PARTLY) & (given + surname < 4))
    i, j = left[poor], right[poor]
    values = givens.values
    straight = np.minimum(given[poor], surname[poor])
    one = _levels(values, _name, givens.codes[i], surnames.codes[j])
    other = _levels(values, _name, surnames.codes[i], givens.codes[j])
    better = (np.minimum(one, other) >= Level.NEAR) & (straight < Level.NEAR)
    given[poor[better]], surname[poor[better]] = one[better], other[better]
    return given, surname


Scorer = Callable[[Texts, Texts], Levels] | None


def _lengths(a: Texts, b: Texts) -> npt.NDArray[np.int64]:
    """The length of the shorter of two texts."""
    measure = np.frompyfunc(len, 1, 1)
    return np.minimum(measure(a), measure(b)).astype(np.int64)


def _name(a: Texts, b: Texts) -> Levels:
    """Names by Jaro and Winkler; short ones must fit better, an initial may stand for its name."""
    likeness = process.cpdist(a, b, scorer=JaroWinkler.similarity, dtype=np.float32, workers=2)
    levels: Levels = np.digitize(likeness, (0.8, 0.92)).astype(np.int8)
    some = np.flatnonzero(likeness > 0)
    if len(some):
        levels[some] = _shortened(levels[some], a[some], b[some])
    return levels


def _shortened(levels: Levels, a: Texts, b: Texts) -> Levels:
    short = _lengths(a, b)
    levels = levels - ((short <= 4) & (levels > 0)).astype(np.int8)
    for k in np.flatnonzero(short == 1):
        levels[k] = Level.PARTLY if a[k][0] == b[k][0] else Level.DIFFERENT
    return levels


def _place(a: Texts, b: Texts) -> Levels:
    likeness = process.cpdist(a, b, scorer=JaroWinkler.similarity, dtype=np.float32, workers=2)
    levels: Levels = np.digitize(likeness, (0.85, 0.93)).astype(np.int8)
    return levels


def _edits(a: Texts, b: Texts) -> npt.NDArray[np.int64]:
    return np.asarray(
        process.cpdist(a, b, scorer=OSA.distance, score_cutoff=2, dtype=np.int64, workers=2)
    )


def _number(a: Texts, b: Texts) -> Levels:
    """One edit makes two numbers alike, if they are long enough to be told apart otherwise."""
    edits = _edits(a, b)
    long = _lengths(a, b) >= 3
    return np.where(edits == 1, np.where(long, Level.NEAR, Level.PARTLY), Level.DIFFERENT).astype(
        np.int8
    )


def _identifier(a: Texts, b: Texts) -> Levels:
    edits = _edits(a, b)
    return np.where(
        edits <= 1, Level.NEAR, np.where(edits <= 2, Level.PARTLY, Level.DIFFERENT)
    ).astype(np.int8)


def _email(a: Texts, b: Texts) -> Levels:
    """One edit, or the same mailbox at another provider.

    Namesakes make mailboxes of one name and tell them apart by numbers: where these differ, the
    mailboxes are two, and where there are none, another provider's is anybody's of that name.
    """
    levels = _identifier(a, b)
    other = np.flatnonzero(levels < Level.NEAR)
    if len(other):
        x, y = _mailbox(a[other]), _mailbox(b[other])
        same = (x == y) & (_lengths(x, y) >= 5) & (_digits(x) != "")
        levels[other] = np.where(same, np.int8(Level.PARTLY), levels[other])
    close = np.flatnonzero(levels > Level.DIFFERENT)
    if len(close):
        x, y = _digits(_mailbox(a[close])), _digits(_mailbox(b[close]))
        levels[close[x != y]] = Level.DIFFERENT
    return levels


def _mailbox(texts: Texts) -> Texts:
    return np.array([text[: text.rfind("@")] for text in texts], object)


def _digits(texts: Texts) -> Texts:
    return np.array(["".join(filter(str.isdigit, text)) for text in texts], object)


def _birthday(a: Texts, b: Texts) -> Levels:
    """Days of eight digits: near by one edit or with month and day exchanged, partly by two edits
    or by two of year, month and day. An unknown year (0000) or part (00) says nothing.
    """
    x, y = (
        a.astype("S8").view(np.uint8).reshape(-1, 8),
        b.astype("S8").view(np.uint8).reshape(-1, 8),
    )
    same = x == y
    parts = np.stack([same[:, :4].all(1), same[:, 4:6].all(1), same[:, 6:].all(1)], 1)
    zero = ord("0")
    blank_x = np.stack([(x[:, s] == zero).all(1) for s in _PARTS], 1)
    blank_y = np.stack([(y[:, s] == zero).all(1) for s in _PARTS], 1)
    blank = blank_x | blank_y
    swapped = parts[:, 0] & (x[:, 4:6] == y[:, 6:]).all(1) & (x[:, 6:] == y[:, 4:6]).all(1)
    levels = np.where((parts & ~blank).sum(1) >= 2, Level.PARTLY, Level.DIFFERENT).astype(np.int8)
    edits = _edits(a, b)
    levels[edits <= 2] = Level.PARTLY
    levels[(edits <= 1) | swapped] = Level.NEAR
    some = blank.any(1)
    fits = (parts | blank).all(1) & ((~blank).sum(1) >= 2)
    levels[some] = np.where(
        fits,
        np.int8(Level.NEAR),
        np.where((parts | blank).all(1), np.int8(Level.MISSING), np.int8(Level.DIFFERENT)),
    )[some]
    return levels


_PARTS = (slice(0, 4), slice(4, 6), slice(6, 8))
_SCORERS: dict[Field, Scorer] = {
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
