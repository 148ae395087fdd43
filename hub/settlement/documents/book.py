"""A statement as XLSX: its totals follow from its lines by formulas that stay alive.

Sheets: the statement, by pair and kind and currency; its taxes; its lines. Excel holds 1,048,576
rows a sheet: more lines go on in further sheets, and every total counts them all.
"""

import json
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.settlement.documents.line_sheets import LETTER, SHOWN, fill_lines, sheets_for
from hub.settlement.documents.truth import Body
from hub.settlement.queries import Statement
from hub.units import exponent

# What a total's lines have in common, and the column of the front sheet that says it.
_MATCHED = {"issuer": "A", "acceptor": "B", "currency": "C", "kind": "D", "tax": "E"}


async def write_xlsx(db: AsyncConnection, *, statement: Statement, out: Path) -> None:
    """Write a statement to the file `out`; the same statement gives the same bytes.

    Raises Rejected for a statement of before, which is a CSV only.
    """
    if statement.body is None:
        raise Rejected("this statement was issued as CSV: download it as .csv", field="format")
    body: Body = json.loads(statement.body)
    sheets = sheets_for(body["lines"]["count"])
    with tempfile.TemporaryDirectory() as place:
        frame = Path(place) / "frame.xlsx"
        _write_frame(frame, body, sheets)
        await fill_lines(db, statement=statement, frame=frame, sheets=sheets, out=out)


def _write_frame(out: Path, body: Body, sheets: dict[str, int]) -> None:
    """Write the workbook but for its lines."""
    # What a name looks like makes it neither a formula nor a link.
    plain = {"strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(out), plain) as book:
        book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
        front, taxes = book.add_worksheet("Statement"), book.add_worksheet("Tax")
        looks = {
            "head": book.add_format({"bold": True, "bottom": 1}),
            "title": book.add_format({"bold": True, "font_size": 16}),
        }
        _write_front(book, front, body, sheets, looks)
        _write_taxes(book, taxes, body, looks)
        for name in sheets:
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            sheet.write_row(0, 0, SHOWN, looks["head"])


def _write_front(
    book: Any, sheet: Any, body: Body, sheets: dict[str, int], looks: dict[str, Any]
) -> None:
    """Write the totals: exact sums of the lines by formula, rounded as the statement rounds."""
    own = body["parties"][body["business"]]
    sheet.set_column(0, 1, 22)
    sheet.set_column(2, 12, 14)
    sheet.write_row(0, 0, [body["group"]])
    sheet.write_string(1, 0, f"{own['legal_name']} ({own['name']})", looks["title"])
    period = body["period"]
    sheet.write_row(2, 0, ["period", period["code"], period["starts_on"], period["ends_on"]])
    sheet.write_row(3, 0, ["lines", body["lines"]["count"], "late", body["lines"]["late"]])
    head = ("issuer", "acceptor", "currency", "kind", "tax code", "lines", "points",
            "sum of lines", "rounding", "net", "tax", "gross")  # fmt: skip
    sheet.write_row(5, 0, head, looks["head"])
    row = 6
    for total in body["totals"]:
        money = book.add_format({"num_format": _pattern(total["currency"])})
        n = row + 1
        names = ("debtor", "creditor", "currency", "kind", "tax_name")
        sheet.write_row(row, 0, [total[name] for name in names])
        count, points = _over(sheets, "", n), _over(sheets, "points", n)
        sheet.write_formula(row, 5, count, None, total["lines"])
        sheet.write_formula(row, 6, points, None, total["points"])
        sheet.write_formula(row, 7, _over(sheets, "amount", n), None, Decimal(total["exact"]))
        # The rounding is the statement's own: a spreadsheet's ROUND is not half to even.
        sheet.write_number(row, 8, Decimal(total["rounding"]))
        agreed = f"ROUND(H{n}+I{n},{exponent(total['currency'])})"
        net, gross = (
            (f"=L{n}-K{n}", f"={agreed}")
            if total["tax_included"]
            else (f"={agreed}", f"=J{n}+K{n}")
        )
        sheet.write_formula(row, 9, net, money, Decimal(total["net"]))
        sheet.write_number(row, 10, Decimal(total["tax"]), money)
        sheet.write_formula(row, 11, gross, money, Decimal(total["gross"]))
        row += 1
    last = row
    row += 1
    for net in body["nets"]:
        money = book.add_format({"num_format": _pattern(net["currency"]), "bold": True})
        sheet.write_row(row, 0, ["net amount", "", net["currency"]], looks["head"])
        formula = f"=SUMIFS(L7:L{last},C7:C{last},C{row + 1})"
        sheet.write_formula(row, 11, formula, money, Decimal(net["amount"]))
        row += 1
    sheet.write_row(row + 1, 0, ["SHA-256 of the lines", body["lines"]["sha256"]])


def _write_taxes(book: Any, sheet: Any, body: Body, looks: dict[str, Any]) -> None:
    """Write net, tax and gross by tax code and currency, as formulas over the statement."""
    sheet.set_column(0, 4, 16)
    sheet.write_row(0, 0, ("tax code", "currency", "net", "tax", "gross"), looks["head"])
    last = 6 + len(body["totals"])
    keys = sorted({(total["tax_name"], total["currency"]) for total in body["totals"]})
    for row, (code, currency) in enumerate(keys, start=1):
        money = book.add_format({"num_format": _pattern(currency)})
        sheet.write_row(row, 0, [code, currency])
        of = [t for t in body["totals"] if (t["tax_name"], t["currency"]) == (code, currency)]
        for column, (source, field) in enumerate((("J", "net"), ("K", "tax"), ("L", "gross")), 2):
            formula = (
                f"=SUMIFS(Statement!{source}$7:{source}${last},"
                f"Statement!C$7:C${last},B{row + 1},Statement!E$7:E${last},{_same(f'A{row + 1}')})"
            )
            value = sum(Decimal(total[field]) for total in of)
            sheet.write_formula(row, column, formula, money, value)


def _same(cell: str) -> str:
    """Return a criterion that also matches empty cells with an empty one."""
    return f'IF({cell}="","=",{cell})'


def _over(sheets: dict[str, int], column: str, row: int) -> str:
    """Return a formula over all sheets of lines, of the total that stands in `row`.

    It sums `column`, or counts the lines where that is empty.
    """
    parts = []
    for name, lines in sheets.items():

        def cells(of: str, name: str = name, end: int = lines + 1) -> str:
            return f"'{name}'!{LETTER[of]}$2:{LETTER[of]}${end}"

        matched = ",".join(f"{cells(of)},{_same(f'{own}{row}')}" for of, own in _MATCHED.items())
        parts.append(f"SUMIFS({cells(column)},{matched})" if column else f"COUNTIFS({matched})")
    return "=" + ("+".join(parts) or "0")


def _pattern(currency: str) -> str:
    places = exponent(currency)
    return "#,##0" + ("." + "0" * places if places else "")
