"""SAP: a row per item with the field names of BAPI_ACC_DOCUMENT_POST.

The first columns are of its DOCUMENTHEADER, then those of ACCOUNTGL, then those of CURRENCYAMOUNT,
joined by ITEMNO_ACC. Credits are negative there.
"""

from collections.abc import Mapping, Sequence

from hub.accounting.exports.files import File, csv_file
from hub.accounting.exports.words import amount, in_english
from hub.accounting.journals.lines import Journal
from hub.accounting.journals.queries import Books

_COLUMNS = (
    "COMP_CODE", "DOC_DATE", "PSTNG_DATE", "DOC_TYPE", "REF_DOC_NO", "HEADER_TXT", "ITEMNO_ACC",
    "GL_ACCOUNT", "ITEM_TEXT", "ALLOC_NMBR", "TAX_CODE", "CURRENCY", "AMT_DOCCUR",
)  # fmt: skip
_HEADER_CHARACTERS, _ITEM_CHARACTERS, _ALLOCATION_CHARACTERS = 25, 50, 18


def sap(journals: Sequence[Journal], books: Mapping[int, Books]) -> list[File]:
    """Write all journals to one file; a document is what has one company code and reference."""
    rows: list[Sequence[object]] = [_COLUMNS]
    for journal in journals:
        own = books.get(journal.legal_entity_id, Books())
        day = journal.dated.strftime("%Y%m%d")
        for line in journal.lines:
            rows.append(
                (
                    own.company_code or journal.legal_entity,
                    day,
                    day,
                    own.document_type,
                    journal.reference,
                    f"Points {journal.period_code}"[:_HEADER_CHARACTERS],
                    line.line_no,
                    line.account_code,
                    in_english(line)[:_ITEM_CHARACTERS],
                    (line.counterparty or "")[:_ALLOCATION_CHARACTERS],
                    line.tax_code or "",
                    journal.currency,
                    amount(line.signed_minor, journal.currency),
                )
            )
    return [csv_file("journals.sap.csv", rows)]
