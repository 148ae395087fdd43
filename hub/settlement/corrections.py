"""Reads of corrections, and what their verbs share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of
from hub.errors import Malformed, NotFound
from hub.settlement.life import LONGEST_NOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """`amount` that a debtor owes a creditor more (negative: less), exact, in major units.

    `state` is proposed, approved (a line of the next close) or rejected (for what `verdict` says).
    """

    correction_id: int
    debtor_id: int
    creditor_id: int
    currency: str
    amount: Decimal
    points: int
    line_id: int | None
    reason: str
    state: str
    maker: str
    proposed_at: datetime
    checker: str | None
    decided_at: datetime | None
    verdict: str | None

    @property
    def size(self) -> Decimal:
        """By how much, up or down."""
        return abs(self.amount)


COLUMNS = """correction_id, debtor_id, creditor_id, currency, amount, points, line_id, reason,
  state, maker, proposed_at, checker, decided_at, verdict"""


async def correction(db: AsyncConnection, correction_id: int, *, lock: bool = False) -> Correction:
    """Return a correction, which nobody else decides meanwhile if `lock`; raises NotFound."""
    row = (
        await db.execute(
            text(f"""SELECT {COLUMNS} FROM correction WHERE correction_id = :id
              {"FOR UPDATE" if lock else ""}"""),  # noqa: S608
            {"id": correction_id},
        )
    ).first()
    if row is None:
        raise NotFound(f"there is no correction {correction_id}", correction_id=correction_id)
    return Correction(**row._asdict())


CORRECTIONS = Keyset((Column("correction_id", int),))
"""The oldest first."""


BY_SIZE = Keyset((Column("size", Decimal, "abs(amount)"), Column("correction_id", int)))
"""By how much, up or down. Meant for one currency, as amounts of several do not compare."""
BY_PROPOSING = Keyset((Column("proposed_at", datetime), Column("correction_id", int)))


class CorrectionFilter(NamedTuple):
    """Which corrections: of which lines, by whom, when; `least`: of that or more, up or down."""

    business_id: int | None = None
    debtor_id: int | None = None
    creditor_id: int | None = None
    currency: str | None = None
    least: Decimal | None = None
    maker: str | None = None
    proposed_from: datetime | None = None
    proposed_before: datetime | None = None


_FILTERS = {
    "states": "state = ANY (CAST(:states AS text[]))",
    "business_id": ":business_id IN (debtor_id, creditor_id)",
    "debtor_id": "debtor_id = :debtor_id",
    "creditor_id": "creditor_id = :creditor_id",
    "currency": "currency = :currency",
    "least": "abs(amount) >= :least",
    "maker": "maker = :maker",
    "proposed_from": "proposed_at >= :proposed_from",
    "proposed_before": "proposed_at < :proposed_before",
}


async def corrections(
    db: AsyncConnection,
    *,
    states: Sequence[str] = ("proposed",),
    only: CorrectionFilter | None = None,
    order: Keyset = CORRECTIONS,
    stretch: Stretch,
) -> list[Correction]:
    """Return corrections in these states, by CORRECTIONS unless asked otherwise."""
    said = {"states": list(states), **(only or CorrectionFilter())._asdict()}
    if said["states"] == ["proposed"]:
        # So that the index on what waits is known to hold all of it.
        order = replace(order, where="state = 'proposed'")
    ending, facts = page_of(order, stretch, only=said, filters=_FILTERS)
    rows = await db.execute(text(f"SELECT {COLUMNS} FROM correction {ending}"), facts)  # noqa: S608
    return [Correction(**row._asdict()) for row in rows]


def reasoned(reason: str) -> None:
    """Raise Malformed unless a reason says something that can be kept."""
    if not 1 <= len(reason.strip()) <= LONGEST_NOTE or not reason.isprintable():
        raise Malformed(f"a reason has 1 to {LONGEST_NOTE} characters", field="reason")
