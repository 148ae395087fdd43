"""Kingdee Cloud Galaxy (云星空, formerly K/3 Cloud): columns of its voucher import, GL_VOUCHER.

Its template is a sheet with field keys in the first row and captions in the second. A voucher's
header stands on its first row alone. Account dimensions (FDetailID#…) are each company's own and
are left to it.
"""

from collections.abc import Mapping, Sequence

from hub.accounting.exports.files import File, csv_file
from hub.accounting.exports.words import amount, in_chinese
from hub.accounting.journals.lines import Journal, PostedLine
from hub.accounting.journals.queries import Books

_COLUMNS = (
    ("FBillHead(GL_VOUCHER)", "*单据头(序号)"),
    ("FAccountBookID", "*(单据头)账簿#编码"),
    ("FDate", "*(单据头)日期"),
    ("FBUSDATE", "(单据头)业务日期"),
    ("FYEAR", "(单据头)会计年度"),
    ("FPERIOD", "(单据头)期间"),
    ("FVOUCHERGROUPID", "*(单据头)凭证字#编码"),
    ("FVOUCHERGROUPNO", "*(单据头)凭证号"),
    ("FACCBOOKORGID", "*(单据头)核算组织#编码"),
    ("*Split*1", "间隔列"),
    ("FEntity", "*分录(序号)"),
    ("FEXPLANATION", "(分录)摘要"),
    ("FACCOUNTID", "*(分录)科目编码#编码"),
    ("FACCOUNTID#Name", "(分录)科目编码#名称"),
    ("FCURRENCYID", "*(分录)币别#编码"),
    ("FEXCHANGERATETYPE", "*(分录)汇率类型#编码"),
    ("FAMOUNTFOR", "(分录)原币金额"),
    ("FDEBIT", "(分录)借方金额"),
    ("FCREDIT", "(分录)贷方金额"),
    ("FBUSNO", "(分录)业务编号"),
)
_FIXED_RATE = "HLTX01_SYS"
"""The exchange rate type that the software comes with."""


def kingdee(journals: Sequence[Journal], books: Mapping[int, Books]) -> list[File]:
    """Write all journals to one sheet, numbered in their order."""
    rows: list[Sequence[object]] = [
        [key for key, _ in _COLUMNS],
        [caption for _, caption in _COLUMNS],
    ]
    for number, journal in enumerate(journals, start=1):
        own = books.get(journal.legal_entity_id, Books())
        header = _header(number, journal, own)
        for line in journal.lines:
            rows.append(
                [
                    *(header if line.line_no == 1 else [""] * len(header)),
                    "",
                    *_entry(line, journal, own),
                ]
            )
    return [csv_file("journals.kingdee.csv", rows, marked=True)]


def _header(number: int, journal: Journal, own: Books) -> list[object]:
    book = own.company_code or journal.legal_entity
    return [
        number,
        book,
        journal.dated.isoformat(),
        journal.dated.isoformat(),
        journal.dated.year,
        journal.dated.month,
        own.voucher_group,
        number,
        book,
    ]


def _entry(line: PostedLine, journal: Journal, own: Books) -> list[object]:
    debit, credit = (
        amount(minor, journal.currency) if minor else ""
        for minor in (line.debit_minor, line.credit_minor)
    )
    return [
        line.line_no,
        in_chinese(line),
        line.account_code,
        line.account_name,
        own.currency_code or journal.currency,
        _FIXED_RATE,
        debit or credit,
        debit,
        credit,
        journal.reference,
    ]
