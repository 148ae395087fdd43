"""Reads of payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One amount that a business pays another for a period: prepared, released, then paid."""

    payment_id: int
    period_id: int
    end_to_end_id: str
    debtor_id: int
    creditor_id: int
    currency: str
    amount_minor: int
    state: str
    debtor_account_id: int
    creditor_account_id: int
    prepared_by: str
    prepared_at: datetime
    released_by: str | None
    released_at: datetime | None
    paid_at: datetime | None
    paid_reference: str | None


_PAYMENT = """
SELECT payment_id, period_id, end_to_end_id, debtor_id, creditor_id, currency, amount_minor, state,
  debtor_account_id, creditor_account_id, prepared_by, prepared_at, released_by, released_at,
  paid_at, paid_reference
FROM payment"""


async def payments(db: AsyncConnection, *, period_ids: Sequence[int]) -> dict[int, list[Payment]]:
    """Return the payments of each period, in the order they were prepared in."""
    found: dict[int, list[Payment]] = {period_id: [] for period_id in period_ids}
    rows = await db.execute(
        text(f"{_PAYMENT} WHERE period_id = ANY(CAST(:ids AS integer[])) ORDER BY payment_id"),
        {"ids": list(period_ids)},
    )
    for row in rows:
        found[row.period_id].append(Payment(**row._asdict()))
    return found


async def payment(db: AsyncConnection, end_to_end_id: str, *, lock: bool = False) -> Payment:
    """Return a payment by its end-to-end id; raises NotFound."""
    sql = f"{_PAYMENT} WHERE end_to_end_id = :id{' FOR UPDATE' if lock else ''}"
    row = (await db.execute(text(sql), {"id": end_to_end_id})).first()
    if row is None:
        raise NotFound(f"there is no payment {end_to_end_id!r}", payment=end_to_end_id)
    return Payment(**row._asdict())
