"""Xero: the columns of its manual journal import. Debits are positive, credits negative.

Lines of one narration and date are one journal there. A file takes up to 300 lines, so every event
is a journal: it balances by itself, and files are cut between them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from hub.accounting.exports.files import File, csv_file
from hub.accounting.exports.words import amount, in_english
from hub.accounting.journals.lines import Journal, PostedLine
from hub.accounting.journals.queries import Books
from hub.errors import Rejected

MOST_LINES = 300
_COLUMNS = ("*Narration", "*Date", "Description", "*AccountCode", "*TaxRate", "*Amount")

_Row = Sequence[object]


def xero(journals: Sequence[Journal], books: Mapping[int, Books]) -> list[File]:
    """Write each legal entity's journals to files of its own.

    Raises Rejected for what happened in more lines than a file takes.
    """
    files = []
    for journal in journals:
        untaxed = books.get(journal.legal_entity_id, Books()).untaxed
        for n, rows in enumerate(_cut(journal, untaxed), start=1):
            name = f"{journal.reference}-{n}.xero.csv"
            files.append(csv_file(name, [_COLUMNS, *rows]))
    return files


def _cut(journal: Journal, untaxed: str) -> Iterator[list[_Row]]:
    rows: list[_Row] = []
    for event, lines in _events(journal).items():
        if len(lines) > MOST_LINES:
            raise Rejected(
                f"{journal.reference} has {len(lines)} lines of {event}; Xero reads {MOST_LINES} "
                "of a journal: take another format",
                field="format",
            )
        if len(rows) + len(lines) > MOST_LINES:
            yield rows
            rows = []
        rows += [_row(journal, line, untaxed) for line in lines]
    if rows:
        yield rows


def _events(journal: Journal) -> dict[str, list[PostedLine]]:
    found: dict[str, list[PostedLine]] = defaultdict(list)
    for line in journal.lines:
        found[line.event].append(line)
    return found


def _row(journal: Journal, line: PostedLine, untaxed: str) -> _Row:
    return (
        f"{journal.reference} {line.event}",
        journal.dated.strftime("%d/%m/%Y"),
        in_english(line),
        line.account_code,
        untaxed,
        amount(line.signed_minor, journal.currency),
    )
