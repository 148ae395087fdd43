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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A statement that a payment settles, alone or with others: its hash, and that of its lines.

    Amounts are the business's, in minor units of the payment's currency: positive it receives.
    `stated_minor` less `disputed_minor`, which is held back, is `due_minor`; `carried_in_minor` is
    the part of what is stated that earlier periods had held back.
    """

    business_id: int
    stated_minor: int
    disputed_minor: int
    carried_in_minor: int
    due_minor: int
    sha256: bytes
    lines: int
    lines_sha256: bytes


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


async def payment(db: AsyncConnection, end_to_end_id: str) -> Payment:
    """Return a payment by its end-to-end id; raises NotFound."""
    sql = f"{_PAYMENT} WHERE end_to_end_id = :id"
    row = (await db.execute(text(sql), {"id": end_to_end_id})).first()
    if row is None:
        raise NotFound(f"there is no payment {end_to_end_id!r}", payment=end_to_end_id)
    return Payment(**row._asdict())


async def settled(db: AsyncConnection, *, payment_ids: Sequence[int]) -> dict[int, list[Settled]]:
    """Return what each payment settles: the debtor's statement, then the creditor's."""
    found: dict[int, list[Settled]] = {payment_id: [] for payment_id in payment_ids}
    rows = await db.execute(
        text("""
          SELECT payment_id, s.business_id, s.sha256,
            convert_from(s.body, 'UTF8')::jsonb -> 'lines' AS lines, due.*
          FROM payment p JOIN statement s ON s.period_id = p.period_id
            AND s.business_id IN (p.debtor_id, p.creditor_id) AND s.body IS NOT NULL
          CROSS JOIN LATERAL (
            SELECT coalesce(sum(side * gross_minor), 0)::bigint AS stated_minor,
              coalesce(sum(side * d.disputed_minor), 0)::bigint AS disputed_minor,
              coalesce(sum(side * d.carried_in_minor), 0)::bigint AS carried_in_minor,
              coalesce(sum(side * d.due_minor), 0)::bigint AS due_minor
            FROM settlement_due d
            CROSS JOIN LATERAL (
              SELECT CASE WHEN d.creditor_id = s.business_id THEN 1 ELSE -1 END AS side) x
            WHERE d.period_id = p.period_id AND d.currency = p.currency
              AND s.business_id IN (d.debtor_id, d.creditor_id)) due
          WHERE payment_id = ANY(CAST(:ids AS bigint[]))
          ORDER BY payment_id, s.business_id = p.creditor_id"""),
        {"ids": list(payment_ids)},
    )
    for row in rows:
        found[row.payment_id].append(
            Settled(
                business_id=row.business_id,
                stated_minor=row.stated_minor,
                disputed_minor=row.disputed_minor,
                carried_in_minor=row.carried_in_minor,
                due_minor=row.due_minor,
                sha256=row.sha256,
                lines=row.lines["count"],
                lines_sha256=bytes.fromhex(row.lines["sha256"]),
            )
        )
    return found
