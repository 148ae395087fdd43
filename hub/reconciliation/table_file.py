"""A book as CSV or XLSX: every row is read by the saved mapping, or told what is wrong with it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from hub.connector import read_table
from hub.errors import HubError, Malformed
from hub.programme.queries import Business
from hub.reconciliation.codes import LEGS, Role
from hub.reconciliation.mapping import FIELDS, MappingConfig, encoding_of
from hub.reconciliation.rows import BadRow, PartnerRow
from hub.units import Money

FIRST_YEAR = 2000
_LONGEST = {"reference": 140, "receipt": 200, "transaction": 19}
_MOST_POINTS = 10**12
_SPACES = dict.fromkeys(map(ord, "\u00a0\u202f\u2009"), " ")


def read_rows(
    name: str, body: bytes, config: MappingConfig, businesses: Iterable[Business]
) -> Iterator[PartnerRow | BadRow]:
    """Yield a file's rows; raises Malformed for what is no table, or lacks a column."""
    kind = name.lower().rpartition(".")[2]
    if kind not in ("csv", "xlsx", "xls", "ods"):
        raise Malformed("a book is a .csv or .xlsx file", field="file")
    heading, table = read_table(
        kind, body, encoding=encoding_of(config), separator=config.separator
    )
    reader = _Reader(heading, config, {b.code: b for b in businesses}, workbook=kind != "csv")
    for number, cells in enumerate(table, start=2):
        if any(cells):
            yield reader.read(number, cells)


class _Reader:
    def __init__(
        self,
        heading: Sequence[str],
        config: MappingConfig,
        businesses: Mapping[str, Business],
        *,
        workbook: bool,
    ) -> None:
        self._heading = heading
        self._config = config
        self._fields = _fields(heading, config)
        self._leg = LEGS[config.role][0]
        own = businesses.get(config.business)
        self._currency = own.currency if own is not None else None
        self._digits = _digits(config, workbook=workbook)
        self._numbers_are = (
            "that a workbook keeps as one: make the cell a number"
            if workbook
            else "as the mapping's decimal_mark and thousands_mark write it"
        )
        self._workbook = workbook
        self._days: dict[str, date] = {}
        self._ids: dict[str, int] = {}
        named = {**{code: code for code in businesses}, **config.counterparties}
        for said, code in named.items():
            business = businesses.get(code)
            if business is None:
                raise Malformed(f"there is no business {code[:40]!r}", field="counterparties")
            if code != config.business:
                self._ids[said] = business.business_id

    def read(self, number: int, cells: Sequence[str]) -> PartnerRow | BadRow:
        try:
            if len(cells) > len(self._heading) and any(cells[len(self._heading) :]):
                raise Malformed("the row has more cells than the heading", field="file")
            return self._row(number, cells)
        except HubError as bad:
            return BadRow(
                number=number,
                field=str(bad.facts.get("field", "")),
                reason=bad.message,
                cells=dict(zip(self._heading, cells, strict=False)),
            )

    def _row(self, number: int, cells: Sequence[str]) -> PartnerRow:
        said = dict(self._config.defaults)
        for place, field in self._fields:
            if place < len(cells) and cells[place]:
                said[field] = cells[place]
        for field, longest in _LONGEST.items():
            if len(said.get(field, "")) > longest or not said.get(field, "").isprintable():
                raise Malformed(f"a {field} has up to {longest} characters", field=field)
        transaction = said.get("transaction")
        if transaction is not None and not (transaction.isascii() and transaction.isdigit()):
            raise Malformed("a transaction is named by its number", field="transaction")
        points, money = self._points(said.get("points")), self._money(said)
        if points is None and money is None:
            raise Malformed("a row says points, an amount, or both", field="amount")
        return PartnerRow(
            number=number,
            leg=self._leg,
            day=self._day(said.get("day", "")),
            points=points,
            amount_minor=None if money is None else money.minor,
            currency=None if money is None else money.currency,
            counterparty_id=self._counterparty(said.get("counterparty")),
            reference=said.get("reference"),
            receipt=said.get("receipt"),
            names=None if transaction is None else str(int(transaction)),
        )

    def _day(self, said: str) -> date:
        known = self._days.get(said)
        if known is not None:
            return known
        read = {day for way in self._config.date_formats if (day := _day_as(said, way))}
        if not read and self._workbook and (written := _of_workbook(said)):
            read = {written}
        if len(read) > 1:
            raise Malformed(
                f"{said[:40]!r} may be {' or '.join(map(str, sorted(read)))}: leave one of the "
                "mapping's date_formats",
                field="day",
            )
        if not read:
            shown = " or ".join(self._config.date_formats)
            raise Malformed(
                f"{said[:40]!r} is no day as {shown}: name its form in the mapping's date_formats",
                field="day",
            )
        (day,) = read
        if not FIRST_YEAR <= day.year < FIRST_YEAR + 100:
            raise Malformed(f"nothing is reconciled from before {FIRST_YEAR}", field="day")
        self._days[said] = day
        return day

    def _points(self, said: str | None) -> int | None:
        if said is None:
            return None
        number = self._number(said, "points")
        if number != number.to_integral_value() or abs(number) > _MOST_POINTS:
            raise Malformed(f"{said[:40]!r} is no whole number of points", field="points")
        return -int(number) if self._config.negate else int(number)

    def _money(self, said: Mapping[str, str]) -> Money | None:
        if "amount" not in said:
            return None
        currency = said.get("currency", self._currency)
        if currency is None:
            raise Malformed("an amount needs a currency", field="currency")
        number = self._number(said["amount"], "amount")
        return Money.parse(-number if self._config.negate else number, currency.upper())

    def _number(self, said: str, field: str) -> Decimal:
        """Read digits as people group and sign them; (12.00) and 12.00- are below zero."""
        plain = said.translate(_SPACES)
        below = plain.startswith("-") or plain.endswith("-")
        if plain.startswith("(") and plain.endswith(")"):
            plain, below = plain[1:-1], True
        elif plain.startswith(("-", "+")):
            plain = plain[1:]
        elif plain.endswith("-"):
            plain = plain[:-1]
        found = self._digits.fullmatch(plain.strip())
        if found is None:
            raise Malformed(f"{said[:40]!r} is no number {self._numbers_are}", field=field)
        whole = found["whole"]
        if self._config.thousands_mark and not self._workbook:
            whole = whole.replace(self._config.thousands_mark, "")
        return Decimal(f"{'-' if below else ''}{whole}.{found['places'] or ''}")

    def _counterparty(self, said: str | None) -> int | None:
        if said is None:
            return None
        found = self._ids.get(said)
        if found is None:
            raise Malformed(
                f"no business is called {said[:40]!r}: name it in the mapping's counterparties",
                field="counterparty",
            )
        return found


def _digits(config: MappingConfig, *, workbook: bool) -> re.Pattern[str]:
    """Make the form of this book's numbers: grouped by threes, or not at all.

    What a workbook keeps as a number comes as its digits, with a point.
    """
    decimal, thousands = config.decimal_mark, config.thousands_mark
    if workbook:
        decimal, thousands = ".", ""
    grouped = rf"|\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+" if thousands else ""
    return re.compile(
        rf"(?P<whole>\d{{1,15}}{grouped})(?:{re.escape(decimal)}(?P<places>\d{{1,8}}))?", re.ASCII
    )


def _day_as(said: str, way: str) -> date | None:
    try:
        # A day by itself, however it is written, is in no zone.
        return datetime.strptime(said, way).date()  # noqa: DTZ007
    except ValueError:
        return None


def _of_workbook(said: str) -> date | None:
    """Read the day of a cell that a workbook itself keeps as one."""
    try:
        return datetime.fromisoformat(said).date()
    except ValueError:
        return None


def _fields(heading: Sequence[str], config: MappingConfig) -> list[tuple[int, str]]:
    """Say which field each column holds; columns that are none are left out."""
    if config.role is Role.BANK:
        raise Malformed("a bank's statement is no table", field="format")
    twice = [column for column in heading if column in config.columns and heading.count(column) > 1]
    if twice:
        raise Malformed(f"the file has column {twice[0]!r} twice", field=twice[0])
    lacking = [column for column in config.columns if column not in heading]
    if lacking:
        raise Malformed(f"the file has no column {lacking[0]!r}", field=lacking[0])
    fields: dict[str, int] = {}
    for place, column in enumerate(heading):
        field = config.columns.get(column) or (column if column in FIELDS else None)
        if field is None:
            continue
        if field in fields:
            raise Malformed(f"two columns hold {field}", field=column)
        fields[field] = place
    held = {*fields, *config.defaults}
    if "day" not in held or not held & {"points", "amount"}:
        raise Malformed(
            "a book needs columns for the day and for points or an amount: name them in the "
            "mapping's columns",
            field="columns",
        )
    return [(place, field) for field, place in fields.items()]
