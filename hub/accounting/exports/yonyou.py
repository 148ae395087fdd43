"""Yonyou U8: the text file that its general ledger tool takes vouchers from.

A line per entry, its fields separated by commas, and no quotes: a comma in a text would be one. Of
the fields, those up to the credit are needed, and those after the last that is given are left out.
Entries of one date, kind of voucher and number are one voucher. What the file has in Chinese is in
GB 18030.
"""

from collections.abc import Mapping, Sequence

from hub.accounting.exports.files import File
from hub.accounting.exports.words import amount, in_chinese
from hub.accounting.journals.lines import Journal
from hub.accounting.journals.queries import Books
from hub.errors import Rejected

_FIRST_LINE = "填制凭证,V800"
_SUMMARY_CHARACTERS, _ACCOUNT_CHARACTERS = 60, 15


def yonyou(journals: Sequence[Journal], books: Mapping[int, Books]) -> list[File]:
    """Write each journal to a file of its own: a file is read into one set of books.

    Raises Rejected for an account code that is longer than U8 knows.
    """
    files = []
    for journal in journals:
        own = books.get(journal.legal_entity_id, Books())
        lines = [_FIRST_LINE]
        for line in journal.lines:
            if len(line.account_code) > _ACCOUNT_CHARACTERS:
                raise Rejected(
                    f"the account code {line.account_code} has more than {_ACCOUNT_CHARACTERS} "
                    "characters, which U8 does not take",
                    field="charts",
                )
            fields = (
                journal.dated.isoformat(),
                own.voucher_group,
                journal.reference,
                "0",  # how many papers are attached
                in_chinese(line)[:_SUMMARY_CHARACTERS],
                line.account_code,
                amount(line.debit_minor, journal.currency),
                amount(line.credit_minor, journal.currency),
            )
            lines.append(",".join(field.replace(",", "，") for field in fields))
        files.append(
            File(
                name=f"{journal.reference}.u8.txt",
                media_type="text/plain; charset=gb18030",
                content=("\r\n".join(lines) + "\r\n").encode("gb18030"),
            )
        )
    return files
