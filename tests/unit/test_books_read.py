"""A book as a file: read as its mapping says, or told row by row what is wrong; never guessed."""

import io
from datetime import date, datetime
from typing import Any

import pytest
import xlsxwriter

from hub.errors import Malformed
from hub.programme.queries import Business
from hub.reconciliation.mapping import read_mapping
from hub.reconciliation.rows import BadRow, PartnerRow
from hub.reconciliation.table_file import read_rows

BUSINESSES = [
    Business(
        business_id=n,
        code=code,
        name=code,
        kind="retail",
        legal_entity_id=n,
        currency="CNY",
        country="CN",
        time_zone="Asia/Shanghai",
        day_starts_at_hour=0,
    )
    for n, code in enumerate(("diner", "shop", "hotel"), start=1)
]
# A workbook's days are in no zone.
NOVEMBER_3 = datetime(2026, 11, 3)  # noqa: DTZ001
HEAD = "reference,day,points,amount,counterparty"


def read(body: str | bytes, name: str = "book.csv", **said: Any) -> list[PartnerRow | BadRow]:
    config = read_mapping({"code": "book", "business": "diner", "role": "creditor", **said})
    content = body.encode() if isinstance(body, str) else body
    return list(read_rows(name, content, config, BUSINESSES))


def one(cells: str, **said: Any) -> PartnerRow | BadRow:
    (row,) = read(f"{HEAD}\n{cells}\n", **said)
    return row


def refused(cells: str, **said: Any) -> tuple[str, str]:
    row = one(cells, **said)
    assert isinstance(row, BadRow), row
    assert row.number == 2
    return row.field, row.reason


def amount(said: str, **mapping: Any) -> int | None:
    row = one(f'R1,2026-11-03,5,"{said}",shop', **mapping)
    assert isinstance(row, PartnerRow), row
    return row.amount_minor


def test_a_row_says_what_the_business_is_owed() -> None:
    row = one("R1,2026-11-03,250,2.00,shop")
    assert isinstance(row, PartnerRow)
    assert (row.reference, row.day, row.points) == ("R1", date(2026, 11, 3), 250)
    assert (row.amount_minor, row.currency, row.counterparty_id) == (200, "CNY", 2)


@pytest.mark.parametrize(
    ("said", "mapping", "minor"),
    [
        ("1234.50", {}, 123450),
        ("-12.5", {}, -1250),
        ("+12.5", {}, 1250),
        ("12.50-", {}, -1250),
        ("(12.50)", {}, -1250),
        ("12.50", {"negate": True}, -1250),
        ("1,234.50", {"thousands_mark": ","}, 123450),
        ("1234.50", {"thousands_mark": ","}, 123450),
        ("1.234,50", {"decimal_mark": ",", "thousands_mark": "."}, 123450),
        ("1 234,50", {"decimal_mark": ",", "thousands_mark": " "}, 123450),
        ("1\u202f234,50", {"decimal_mark": ",", "thousands_mark": " "}, 123450),
        ("1\u00a0234,50", {"decimal_mark": ",", "thousands_mark": " "}, 123450),
        ("1'234.50", {"thousands_mark": "'"}, 123450),
    ],
)
def test_numbers_are_written_as_the_mapping_says(
    said: str, mapping: dict[str, Any], minor: int
) -> None:
    assert amount(said, **mapping) == minor


@pytest.mark.parametrize(
    ("said", "mapping"),
    [
        ("12,50", {}),
        ("1,234.50", {}),
        ("12.34,50", {"thousands_mark": ","}),
        ("1,23.50", {"thousands_mark": ","}),
        ("12.50", {"decimal_mark": ","}),
        ("1.2.3", {}),
        ("(12.50", {}),
        ("-(12.50)", {}),
        ("--12.50", {}),
        ("-12.50-", {}),
        ("1e3", {}),
        ("NaN", {}),
        ("Infinity", {}),
        ("٣", {}),
        ("12.345", {}),
        ("9" * 16, {}),
        ("¥12", {}),
    ],
)
def test_a_number_written_otherwise_is_refused(said: str, mapping: dict[str, Any]) -> None:
    field, _ = refused(f'R1,2026-11-03,5,"{said}",shop', **mapping)
    assert field == "amount"


@pytest.mark.parametrize(
    ("said", "ways"),
    [
        ("2026-11-03", ["%Y-%m-%d"]),
        ("03.11.2026", ["%d.%m.%Y"]),
        ("20261103", ["%Y%m%d"]),
        ("2026年11月03日", ["%Y年%m月%d日"]),
        ("2026/11/3", ["%Y-%m-%d", "%Y/%m/%d"]),
        ("03.11.2026 23:59", ["%d.%m.%Y %H:%M"]),
    ],
)
def test_days_are_written_as_the_mapping_says(said: str, ways: list[str]) -> None:
    row = one(f"R1,{said},5,,shop", date_formats=ways)
    assert isinstance(row, PartnerRow)
    assert row.day == date(2026, 11, 3)


def test_a_day_that_may_be_two_days_is_neither() -> None:
    ways = ["%d/%m/%Y", "%m/%d/%Y"]
    field, reason = refused("R1,03/11/2026,5,,shop", date_formats=ways)
    assert field == "day"
    assert "may be 2026-03-11 or 2026-11-03" in reason
    assert isinstance(one("R1,11/11/2026,5,,shop", date_formats=ways), PartnerRow)
    assert isinstance(one("R1,30/11/2026,5,,shop", date_formats=ways), PartnerRow)


@pytest.mark.parametrize(
    ("cells", "field", "told"),
    [
        ("R1,03.11.2026,5,,shop", "day", "date_formats"),
        ("R1,2026-11-31,5,,shop", "day", "no day"),
        ("R1,,5,,shop", "day", "no day"),
        ("R1,1026-11-03,5,,shop", "day", "before 2000"),
        ("R1,2026-11-03,,,shop", "amount", "points, an amount"),
        ("R1,2026-11-03,5.5,,shop", "points", "whole"),
        ("R1,2026-11-03,5,,casino", "counterparty", "counterparties"),
        ("R1,2026-11-03,5,,diner", "counterparty", "counterparties"),
        ("R1,2026-11-03,5,1,shop,more", "file", "more cells"),
        (f"{'R' * 141},2026-11-03,5,,shop", "reference", "140 characters"),
        ("R\x001,2026-11-03,5,,shop", "reference", "characters"),
    ],
)
def test_a_row_that_makes_no_sense_names_field_and_way_out(
    cells: str, field: str, told: str
) -> None:
    assert refused(cells)[0] == field
    assert told in refused(cells)[1]


@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("gbk", "gb18030"),
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16"),
    ],
)
def test_an_encoding_is_read_and_never_guessed(codec: str, encoding: str) -> None:
    body = "编号,日期,积分,商家\n甲1,2026-11-03,5,商店\n".encode(codec)
    said = {
        "columns": {"编号": "reference", "日期": "day", "积分": "points", "商家": "counterparty"},
        "counterparties": {"商店": "shop"},
    }
    (row,) = read(body, encoding=encoding, **said)
    assert isinstance(row, PartnerRow)
    assert (row.reference, row.counterparty_id) == ("甲1", 2)
    for other in {"utf-8", "gb18030", "utf-16"} - {encoding}:
        with pytest.raises(Malformed):
            read(body, encoding=other, **said)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_separator_is_the_mappings(mark: str) -> None:
    body = mark.join(("day", "points")) + "\n" + mark.join(("2026-11-03", "5")) + "\n"
    assert isinstance(read(body, separator=mark)[0], PartnerRow)
    for other in {",", ";", "\t", "|"} - {mark}:
        with pytest.raises(Malformed):
            read(body, separator=other)


@pytest.mark.parametrize(
    ("body", "said", "field"),
    [
        ("", {}, "file"),
        ("day\n2026-11-03\n", {}, "columns"),
        ("points\n5\n", {}, "columns"),
        ("day,points\n", {"columns": {"Tag": "day"}}, "Tag"),
        ("Tag,Tag,points\n", {"columns": {"Tag": "day"}}, "Tag"),
        ("day,Tag,points\n", {"columns": {"Tag": "day"}}, "Tag"),
        ('day,points\n2026-11-03,"5\n', {}, "file"),
    ],
)
def test_what_is_no_such_book_is_refused_whole(body: str, said: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as no:
        read(body, **said)
    assert no.value.field == field


def _workbook(*rows: tuple[Any, ...]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for r, cells in enumerate([("reference", "day", "points", "amount"), *rows]):
            for c, cell in enumerate(cells):
                if isinstance(cell, datetime):
                    sheet.write_datetime(r, c, cell, day)
                else:
                    sheet.write(r, c, cell)
    return out.getvalue()


def test_a_workbooks_numbers_and_days_are_what_it_keeps() -> None:
    """Whatever marks the mapping names are for text: a point is no mark of thousands here."""
    body = _workbook(("R1", NOVEMBER_3, 1250, 1.234), ("R2", "03.11.2026", 5, 1234.5))
    marks = {"decimal_mark": ",", "thousands_mark": ".", "date_formats": ["%d.%m.%Y"]}
    thousandth, row = read(body, name="book.xlsx", **marks)
    assert isinstance(thousandth, BadRow)
    assert thousandth.field == "amount"
    assert isinstance(row, PartnerRow)
    assert (row.day, row.amount_minor) == (date(2026, 11, 3), 123450)


def test_a_number_that_a_workbook_has_lost_is_refused() -> None:
    body = _workbook((1234567890123456789, NOVEMBER_3, 5, 1))
    with pytest.raises(Malformed, match=r"row 2, column 1.*text"):
        read(body, name="book.xlsx")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"columns": {"A": "day", "B": "day"}}, "columns"),
        ({"columns": {"A": "colour"}}, "columns"),
        ({"decimal_mark": ",", "thousands_mark": ","}, "thousands_mark"),
        ({"date_formats": ["%d.%m"]}, "date_formats"),
        ({"date_formats": ["day"]}, "date_formats"),
        ({"encoding": "latin-1"}, "encoding"),
        ({"role": "bank"}, "format"),
        ({"format": "mt940"}, "format"),
        ({"tolerance": {"days": 32}}, "tolerance.days"),
        ({"tolerance": {"days": 1.5}}, "tolerance.days"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(said: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as no:
        read_mapping({"code": "book", "business": "diner", "role": "creditor", **said})
    assert no.value.field == field
