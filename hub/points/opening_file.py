"""A file of opening balances, row by row: what each says, or the field that makes no sense."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TextIO

from hub.clock import business_date, day_starts_at
from hub.errors import HubError, Malformed
from hub.members.resolve import check_external_id
from hub.points.checks import FIRST_YEAR, LONGEST_KEY, MOST_POINTS
from hub.programme.queries import Business, Terms

NEEDED = ("business", "external_id", "points")
OPTIONAL = ("expires_on", "earned_on", "cost_rate", "unit", "reference")
IGNORED = ("row", "field", "reason")
"""Columns of a file of errors: once it is corrected, it can be imported as it is."""
_DEAREST = Decimal(10_000)
_RATE_PLACES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRow:
    """A row that makes sense. `number` counts from 1, without the heading."""

    number: int
    business: Business
    external_id: str
    points: int
    expires_on: date | None
    earned_at: datetime
    cost_rate: Decimal
    unit: int
    reference: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that was not used, and why."""

    number: int
    field: str
    reason: str


_Rows = Iterator[list[str]]


def records(file: TextIO) -> Iterator[dict[str, str]]:
    """Yield a file's rows by column.

    Raises Malformed when the heading will not do, and where the file stops being CSV in UTF-8.
    """
    rows = csv.reader(file, strict=True)
    try:
        yield from _records(rows)
    except (csv.Error, UnicodeDecodeError) as bad:
        raise Malformed(f"after line {rows.line_num} it is no CSV: {bad}", field="file") from bad


def _records(rows: _Rows) -> Iterator[dict[str, str]]:
    heading = [name.strip() for name in next(rows, ())]
    for name in NEEDED:
        if name not in heading:
            raise Malformed(f"the heading has no column {name!r}", field=name)
    for name in heading:
        if name not in (*NEEDED, *OPTIONAL, *IGNORED) or heading.count(name) > 1:
            known = ", ".join((*NEEDED, *OPTIONAL))
            raise Malformed(f"a column {name!r} is unknown or twice; there are {known}", field=name)
    for row in rows:
        # A cell too many belongs to no column, a cell too few is empty.
        yield {
            **dict(zip(heading, (cell.strip() for cell in row), strict=False)),
            **({"": "more"} if len(row) > len(heading) else {}),
        }


class Reader:
    """Reads rows against the group's configuration."""

    def __init__(self, businesses: Iterable[Business], terms: Terms, *, now: datetime) -> None:
        self._businesses: Mapping[str, Business] = {b.code: b for b in businesses}
        self._terms = terms
        self._now = now

    def read(self, number: int, cells: Mapping[str, str]) -> OpeningRow | BadRow:
        """Read one row."""
        try:
            return self._row(number, cells)
        except HubError as bad:
            field = str(bad.facts.get("field", ""))
            return BadRow(number=number, field=field, reason=bad.message)

    def _row(self, number: int, cells: Mapping[str, str]) -> OpeningRow:
        if "" in cells:
            raise Malformed("the row has more cells than the heading", field="")
        code = cells.get("business", "")
        business = self._businesses.get(code)
        if business is None:
            raise Malformed(f"there is no business {code[:40]!r}", field="business")
        business.with_a_shop()
        today = business_date(
            self._now, business.time_zone, day_starts_at_hour=business.day_starts_at_hour
        )
        return OpeningRow(
            number=number,
            business=business,
            external_id=check_external_id(cells.get("external_id", "")),
            points=_points(cells.get("points", "")),
            expires_on=_expires_on(cells.get("expires_on", ""), today),
            earned_at=self._earned_at(cells.get("earned_on", ""), business, today),
            cost_rate=self._cost_rate(cells.get("cost_rate", ""), business),
            unit=self._terms.policies.unit(cells.get("unit") or "points").unit_id,
            reference=_reference(cells.get("reference", "")),
        )

    def _earned_at(self, said: str, business: Business, today: date) -> datetime:
        day = _day(said, "earned_on") or today
        if not day.year >= FIRST_YEAR or day > today:
            raise Malformed(
                f"earned_on lies between {FIRST_YEAR}-01-01 and {today}", field="earned_on"
            )
        return day_starts_at(
            day, business.time_zone, day_starts_at_hour=business.day_starts_at_hour
        )

    def _cost_rate(self, said: str, business: Business) -> Decimal:
        if not said:
            try:
                return self._terms.rule(business.business_id, self._now).cost_per_point
            except HubError:
                raise Malformed(
                    f"{business.code} has no earning rule in force to say what a point costs",
                    field="cost_rate",
                ) from None
        try:
            rate = Decimal(said)
            fits = 0 <= rate < _DEAREST and rate == round(rate, _RATE_PLACES)
        except InvalidOperation:
            fits = False
        if not fits:
            raise Malformed(
                f"a cost is a decimal from 0 to below {_DEAREST}, to {_RATE_PLACES} places",
                field="cost_rate",
            )
        return rate


def _points(said: str) -> int:
    fits = said.isascii() and said.isdigit() and len(said) <= len(str(MOST_POINTS))
    if not fits or not 0 < int(said) <= MOST_POINTS:
        raise Malformed(f"points are a whole number from 1 to {MOST_POINTS}", field="points")
    return int(said)


def _day(said: str, field: str) -> date | None:
    try:
        return date.fromisoformat(said) if said else None
    except ValueError:
        raise Malformed(f"{field} is a day as 2026-12-31", field=field) from None


def _expires_on(said: str, today: date) -> date | None:
    day = _day(said, "expires_on")
    if day is not None and day < today:
        raise Malformed("the last day is over: there is nothing to open", field="expires_on")
    return day


# What the hub puts before a reference, so that no other request can have the same key.
_BEFORE = len("opening:")


def _reference(said: str) -> str | None:
    if len(said) > LONGEST_KEY - _BEFORE or not said.isprintable():
        raise Malformed(
            f"a reference has up to {LONGEST_KEY - _BEFORE} printable characters",
            field="reference",
        )
    return said or None
