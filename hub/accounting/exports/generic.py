"""Generic CSV: every line with all that is known of it."""

from collections.abc import Mapping, Sequence

from hub.accounting.exports.files import File, csv_file
from hub.accounting.exports.words import amount, in_english
from hub.accounting.journals.lines import Journal
from hub.accounting.journals.queries import Books

_COLUMNS = (
    "reference", "date", "period", "legal_entity", "currency", "line", "event", "purpose",
    "account_code", "account_name", "business", "counterparty", "tax_code", "points", "debit",
    "credit", "description",
)  # fmt: skip


def generic(journals: Sequence[Journal], books: Mapping[int, Books]) -> list[File]:
    """Write all journals to one file."""
    rows: list[Sequence[object]] = [_COLUMNS]
    for journal in journals:
        for line in journal.lines:
            rows.append(
                (
                    journal.reference,
                    journal.dated.isoformat(),
                    journal.period_code,
                    journal.legal_entity,
                    journal.currency,
                    line.line_no,
                    line.event,
                    line.purpose.value,
                    line.account_code,
                    line.account_name,
                    line.business,
                    line.counterparty or "",
                    line.tax_code or "",
                    line.points,
                    amount(line.debit_minor, journal.currency),
                    amount(line.credit_minor, journal.currency),
                    in_english(line),
                )
            )
    return [csv_file("journals.csv", rows)]
