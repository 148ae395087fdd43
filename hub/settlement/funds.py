"""Reads of what was paid ahead under hybrid agreements."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Fund:
    """What was paid ahead, in major units: opening + paid − drawn = closing."""

    debtor_id: int
    creditor_id: int
    currency: str
    opening: Decimal
    paid: Decimal
    drawn: Decimal
    closing: Decimal


async def funds(db: AsyncConnection, *, period_ids: Sequence[int]) -> dict[int, list[Fund]]:
    """Return the funds of each period as its close left them."""
    rows = await db.execute(
        text("""
          SELECT period_id, debtor_id, creditor_id, currency, opening, paid, drawn, closing
          FROM settlement_fund WHERE period_id = ANY (CAST(:ids AS integer[]))
          ORDER BY period_id, debtor_id, creditor_id, currency"""),
        {"ids": list(period_ids)},
    )
    found: dict[int, list[Fund]] = {period_id: [] for period_id in period_ids}
    for row in rows:
        facts = row._asdict()
        found[facts.pop("period_id")].append(Fund(**facts))
    return found
