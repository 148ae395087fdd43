"""Beancount: one file with all journals, which `bean-check` finds in order."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from hub.accounting.exports.files import File
from hub.accounting.exports.words import amount, in_english
from hub.accounting.journals.lines import Journal, PostedLine
from hub.accounting.journals.queries import Books
from hub.errors import Rejected
from hub.programme.chart import Purpose

_ROOTS = {
    **dict.fromkeys(Purpose, "Income"),
    **dict.fromkeys((Purpose.RECEIVABLE, Purpose.PREFUND_PAID, Purpose.INPUT_TAX), "Assets"),
    **dict.fromkeys(
        (
            Purpose.CONTRACT_LIABILITY,
            Purpose.PAYABLE,
            Purpose.PREFUND_HELD,
            Purpose.PLAN_COLLECTED,
            Purpose.OUTPUT_TAX,
        ),
        "Liabilities",
    ),
    **dict.fromkeys(
        (
            Purpose.REDEMPTION_COST,
            Purpose.BENEFIT_COST,
            Purpose.VOUCHER_COST,
            Purpose.CORRECTION_COST,
            Purpose.COMMISSION_COST,
            Purpose.POINTS_GRANTED,
            Purpose.POINTS_PURCHASED,
        ),
        "Expenses",
    ),
    Purpose.OPENING_BALANCE: "Equity",
}


def beancount(journals: Sequence[Journal], books: Mapping[int, Books]) -> list[File]:
    """Write all journals to one file that opens the accounts it uses.

    Raises Rejected when two account codes of an entity differ in nothing that beancount can tell.
    """
    names = _account_names(journals)
    currencies = sorted({journal.currency for journal in journals})
    lines = [
        'option "title" "Points and settlement"',
        *(f'option "operating_currency" "{currency}"' for currency in currencies),
        "",
        *_opened(journals, names),
    ]
    for journal in journals:
        lines += ["", *_transaction(journal)]
    text = "\n".join(lines) + "\n"
    return [File(name="journals.beancount", media_type="text/plain", content=text.encode())]


def _account(journal: Journal, line: PostedLine) -> str:
    """Return an account's name: a component is of capitals, digits and hyphens."""
    code = line.account_code.upper().replace(".", "-").replace("_", "-")
    return f"{_ROOTS[line.purpose]}:{journal.legal_entity.upper()}:{code}"


def _account_names(journals: Sequence[Journal]) -> dict[str, tuple[str, str]]:
    """Return codes and names by account; raises Rejected for two codes that are one account."""
    found: dict[str, tuple[str, str]] = {}
    for journal in journals:
        for line in journal.lines:
            known, _ = found.setdefault(
                _account(journal, line), (line.account_code, line.account_name)
            )
            if known != line.account_code:
                raise Rejected(
                    f"the account codes {known} and {line.account_code} of {journal.legal_entity} "
                    "are one and the same to beancount: give one of them another code",
                    field="charts",
                )
    return found


def _opened(journals: Sequence[Journal], names: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    first = min((journal.dated for journal in journals), default=date.min)
    for account, (code, name) in sorted(names.items()):
        yield f"{first} open {account}"
        yield f'  code: "{code}"'
        yield f"  name: {_quoted(name)}"


def _transaction(journal: Journal) -> Iterator[str]:
    payee = _quoted(journal.legal_entity)
    yield (
        f'{journal.dated} * {payee} "Points and settlement {journal.period_code}" '
        f"^{journal.reference}"
    )
    for line in journal.lines:
        signed = amount(line.signed_minor, journal.currency)
        yield f"  {_account(journal, line)}  {signed} {journal.currency}"
        yield f"    description: {_quoted(in_english(line))}"


def _quoted(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
