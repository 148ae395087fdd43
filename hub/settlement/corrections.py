"""Reads of corrections, and what their verbs share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch
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


async def corrections(
    db: AsyncConnection, *, states: Sequence[str] = ("proposed",), stretch: Stretch
) -> list[Correction]:
    """Return corrections in these states, by CORRECTIONS."""
    rows = await db.execute(
        text(f"""
          SELECT {COLUMNS} FROM correction WHERE state = ANY (CAST(:states AS text[]))
            AND {CORRECTIONS.between(stretch)}
          ORDER BY {CORRECTIONS.order(stretch)} LIMIT :limit"""),  # noqa: S608
        {"states": list(states), "limit": stretch.limit, **CORRECTIONS.facts(stretch)},
    )
    return [Correction(**row._asdict()) for row in rows]


def reasoned(reason: str) -> None:
    """Raise Malformed unless a reason says something that can be kept."""
    if not 1 <= len(reason.strip()) <= LONGEST_NOTE or not reason.isprintable():
        raise Malformed(f"a reason has 1 to {LONGEST_NOTE} characters", field="reason")
