"""Eliminate: what the group's businesses booked against each other leaves the group's books. Pure.

Tax stays: it is owed to the state, and due from it, whoever it was charged to. So does what members
paid for plans: it came from outside, whoever of the group took it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from hub.accounting.journals.lines import Journal
from hub.programme.chart import Purpose

_STAYS = (
    Purpose.INPUT_TAX,
    Purpose.OUTPUT_TAX,
    Purpose.PLAN_COLLECTED,
    Purpose.PLAN_REVENUE,
)
_OF_THE_BALANCE_SHEET = (
    Purpose.RECEIVABLE,
    Purpose.PAYABLE,
    Purpose.PREFUND_PAID,
    Purpose.PREFUND_HELD,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EliminationRow:
    """What is taken out of a business's figures: the mirror of what it booked.

    `event` is that of the lines it mirrors.
    """

    currency: str
    event: str
    purpose: Purpose
    business_id: int
    counterparty_id: int
    debit_minor: int
    credit_minor: int

    @property
    def of_the_balance_sheet(self) -> bool:
        """Whether it is what is owed or held, rather than revenue or cost."""
        return self.purpose in _OF_THE_BALANCE_SHEET


@dataclass(frozen=True, slots=True, kw_only=True)
class Elimination:
    """A currency's elimination sheet. Its rows of the balance sheet, and its others, net to zero
    each, and so do those of every pair of businesses.
    """

    currency: str
    rows: tuple[EliminationRow, ...]

    @property
    def total_minor(self) -> int:
        """Return the sum of debits, which is that of credits."""
        return sum(row.debit_minor for row in self.rows)


def eliminate(journals: Sequence[Journal]) -> list[Elimination]:
    """Return the elimination sheets of a period's journals, by currency.

    Raises AssertionError when what one side booked is not what the other did.
    """
    sums: dict[str, dict[tuple[Purpose, int, int, str], int]] = defaultdict(
        lambda: defaultdict(int)
    )
    for journal in journals:
        for line in journal.lines:
            if line.counterparty_id is not None and line.purpose not in _STAYS:
                place = line.purpose, line.business_id, line.counterparty_id, line.event
                sums[journal.currency][place] -= line.signed_minor
    sheets = []
    for currency, found in sorted(sums.items()):
        rows = tuple(
            EliminationRow(
                currency=currency,
                event=event,
                purpose=purpose,
                business_id=business_id,
                counterparty_id=counterparty_id,
                debit_minor=max(minor, 0),
                credit_minor=max(-minor, 0),
            )
            for (purpose, business_id, counterparty_id, event), minor in sorted(found.items())
            if minor
        )
        _prove(rows)
        sheets.append(Elimination(currency=currency, rows=rows))
    return sheets


def _prove(rows: Sequence[EliminationRow]) -> None:
    left: dict[tuple[bool, int, int], int] = defaultdict(int)
    for row in rows:
        one, other = sorted((row.business_id, row.counterparty_id))
        left[row.of_the_balance_sheet, one, other] += row.debit_minor - row.credit_minor
    for (_, one, other), minor in left.items():
        if minor:
            raise AssertionError(f"what {one} and {other} booked differs by {minor} minor units")
