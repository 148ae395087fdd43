"""A table of people as numbers: each value once, each row the numbers of its values.

Rows that say the same become one, and rows stand in an order that depends on what they say only:
whatever is decided on them does not depend on the order in which they came.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hub.members.matching import cells, reading
from hub.members.matching.columns import Field

Codes = npt.NDArray[np.int32]
Texts = npt.NDArray[np.object_]
MISSING = -1
_ATTESTED, _ATTESTED_SHARE = 8, 2e-4


@dataclass(slots=True)
class Feature:
    """One field of all rows: `values` are distinct, `codes` say which of them a row has, or -1."""

    codes: Codes
    values: Texts
    made: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[["Feature"], Any]) -> Any:
        """Return what is made of the values, made when it is first asked for."""
        if name not in self.made:
            self.made[name] = make(self)
        return self.made[name]

    def shares(self) -> npt.NDArray[np.int64]:
        """How many rows have each value."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))


@dataclass(slots=True)
class Table:
    """Distinct rows of people. Given names and surnames share their values."""

    size: int
    features: dict[Field, Feature]
    written: Codes
    """The full name in Chinese characters, for those who have one; else -1."""
    rows: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """For each row that came in, which distinct row says the same."""
    attested: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    """Which names so many bear that they are no slip of the pen: Diana is not Diane misspelt."""

    def __post_init__(self) -> None:
        """See which names are borne by many."""
        if self.has(Field.GIVEN_NAME):
            borne = self.features[Field.GIVEN_NAME].shares()
            self.attested = borne >= max(_ATTESTED, self.size * _ATTESTED_SHARE)

    def has(self, *fields: Field) -> bool:
        """Say whether anybody has a value for each of the fields."""
        return all(one in self.features for one in fields)


def build(columns: dict[Field, list[Any]], size: int) -> Table:
    """Read columns of `size` cells into a table."""
    features: dict[Field, Feature] = {}
    written = _read_names(columns, features, size)
    _read_birthdays(columns, features, size)
    _read_streets(columns, features, size)
    for one, read in _READERS.items():
        if one in columns:
            features[one] = _feature(_texts(columns[one], size), read)
    kept = {one: f for one, f in features.items() if bool((f.codes >= 0).any())}
    return _distinct(Table(size, kept, written))


_READERS: dict[Field, Callable[[str], str | None]] = {
    Field.STREET_NUMBER: cells.number,
    Field.STREET_2: cells.street,
    Field.CITY: cells.street,
    Field.POSTCODE: cells.number,
    Field.STATE: cells.word,
    Field.PHONE: cells.phone,
    Field.EMAIL: cells.email,
    Field.DOCUMENT: cells.document,
    Field.LOYALTY_ID: cells.document,
    Field.ACCOUNT_ID: lambda text: text,
    Field.SEX: cells.sex,
}


def _texts(columns: Sequence[Any], size: int) -> Feature:
    """The cells as text, of several columns the first that holds any.

    A column is a sequence of cells, or what returns one: then no more than one is held at a time.
    """
    values: dict[str, int] = {}
    codes = np.full(size, MISSING, np.int32)
    for column in columns:
        numbers, distinct = reading.numbered(column() if callable(column) else column, size)
        texts = (cells.text_of(cell) for cell in distinct)
        found = _through(_codes(texts, values), numbers)
        codes = found if len(columns) == 1 else np.where(codes < 0, found, codes)
    return Feature(codes, _objects(values))


def _codes(texts: Iterable[str | None], values: dict[str, int]) -> Codes:
    return np.fromiter(
        (MISSING if text is None else values.setdefault(text, len(values)) for text in texts),
        np.int32,
    )


def _objects(values: Iterable[object]) -> Texts:
    listed = list(values)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array


def _feature(raw: Feature, read: Callable[[str], str | None]) -> Feature:
    """Give each distinct text its normal form."""
    return _spread(raw.codes, (read(text) for text in raw.values), {})


def _spread(codes: Codes, normal: Iterable[str | None], values: dict[str, int]) -> Feature:
    """Number normal forms, which come one for each code, and hand them to the rows."""
    own = _codes(normal, values)
    return Feature(_through(own, codes), _objects(values))


def _through(own: Codes, codes: Codes) -> Codes:
    """Follow codes one step further; what is missing stays missing."""
    return np.append(own, np.int32(MISSING))[codes]


def _read_names(
    columns: dict[Field, list[Any]], features: dict[Field, Feature], size: int
) -> Codes:
    values: dict[str, int] = {}
    given = surname = np.full(size, MISSING, np.int32)
    han = np.zeros(size, np.int64)
    if Field.FULL_NAME in columns:
        raw = _texts(columns[Field.FULL_NAME], size)
        people = [cells.full_name(text) for text in raw.values]
        given = _spread(raw.codes, (p.given for p in people), values).codes
        surname = _spread(raw.codes, (p.surname for p in people), values).codes
        features[Field.SUFFIX] = _spread(raw.codes, (p.suffix for p in people), {})
        han = _feature(raw, cells.written).codes.astype(np.int64) + 1
    for one, read in ((Field.GIVEN_NAME, cells.given_name), (Field.SURNAME, cells.surname)):
        if one not in columns:
            continue
        raw = _texts(columns[one], size)
        codes = _spread(raw.codes, (read(text) for text in raw.values), values).codes
        signs = _feature(raw, cells.written).codes.astype(np.int64) + 1
        han = np.where(codes >= 0, han * (signs.max(initial=0) + 1) + signs, han)
        if one is Field.GIVEN_NAME:
            given = np.where(codes >= 0, codes, given)
        else:
            surname = np.where(codes >= 0, codes, surname)
            ends = _feature(raw, cells.suffix)
            if Field.SUFFIX not in features and bool((ends.codes >= 0).any()):
                features[Field.SUFFIX] = ends
    if Field.SUFFIX in columns:
        features[Field.SUFFIX] = _feature(_texts(columns[Field.SUFFIX], size), cells.suffix)
    shared = _objects(values)
    features[Field.GIVEN_NAME] = Feature(given, shared)
    features[Field.SURNAME] = Feature(surname, shared)
    _, numbered = np.unique(np.where(han > 0, han, -1), return_inverse=True)
    return np.where(han > 0, numbered, MISSING).astype(np.int32)


def _read_birthdays(
    columns: dict[Field, list[Any]], features: dict[Field, Feature], size: int
) -> None:
    if Field.BIRTHDAY in columns:
        features[Field.BIRTHDAY] = _feature(_texts(columns[Field.BIRTHDAY], size), cells.birthday)
        return
    if Field.BIRTH_YEAR not in columns:
        return
    parts = []
    for one in (Field.BIRTH_YEAR, Field.BIRTH_MONTH, Field.BIRTH_DAY):
        raw = _texts(columns.get(one, []), size)
        numbers = [int(text) if text.isdecimal() else 0 for text in raw.values]
        parts.append(np.append(np.array(numbers, np.int64), 0)[raw.codes])
    year, month, day = parts
    whole = np.where(year > 0, year * 10000 + month * 100 + day, 0)
    values, codes = np.unique(whole, return_inverse=True)
    texts = [f"{value:08}" if value > 0 else None for value in values.tolist()]
    features[Field.BIRTHDAY] = _spread(codes.astype(np.int32), texts, {})


def _read_streets(
    columns: dict[Field, list[Any]], features: dict[Field, Feature], size: int
) -> None:
    if Field.STREET not in columns:
        return
    raw = _texts(columns[Field.STREET], size)
    if Field.STREET_NUMBER in columns:
        features[Field.STREET] = _feature(raw, cells.street)
        return
    split = [cells.split_number(text) for text in raw.values]
    numbers = (cells.number(number) if number else None for number, _ in split)
    features[Field.STREET_NUMBER] = _spread(raw.codes, numbers, {})
    features[Field.STREET] = _spread(raw.codes, (cells.street(street) for _, street in split), {})


def _distinct(table: Table) -> Table:
    """Keep one row of those that say the same, in an order that their contents give."""
    everything = [*(f.codes for f in table.features.values()), table.written]
    marks = np.zeros(table.size, np.uint64)
    for place, one in enumerate(table.features.values()):
        digests = [zlib.crc32(value.encode()) + 1 for value in one.values]
        own = np.append(np.array(digests, np.uint64), np.uint64(0))[one.codes]
        with np.errstate(over="ignore"):
            marks = (marks ^ (own + np.uint64(place))) * np.uint64(0x9E3779B97F4A7C15)
            marks ^= marks >> np.uint64(29)
    order = np.lexsort(np.stack([*everything, marks.view(np.int64)]))
    same = np.ones(table.size, bool)
    same[:1] = False
    for codes in everything:
        ordered = codes[order]
        same[1:] &= ordered[1:] == ordered[:-1]
    first = order[~same]
    rows = np.empty(table.size, np.int64)
    rows[order] = np.cumsum(~same) - 1
    features = {
        one: Feature(np.ascontiguousarray(f.codes[first]), f.values)
        for one, f in table.features.items()
    }
    return Table(len(first), features, table.written[first], rows)
