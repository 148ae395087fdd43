"""Count a refund: what a bill no longer counts for tiers."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# All refunds of a bill together take floor(spend · refunded / paid) of its spend, whatever their
# order; the one that leaves nothing takes the bill, and the stay's nights with its last bill.
_COUNT = text("""
WITH bill AS (
  SELECT s.account_id, s.business_id, s.business_date, s.currency, s.stay, s.paid_minor,
    s.spend_minor, s.paid_minor - r.paid_left AS before, s.spend_minor - r.spend_left AS taken,
    least(s.paid_minor, s.paid_minor - r.paid_left
      + coalesce(CAST(:refunded_minor AS bigint), s.paid_minor)) AS back, r.bills
  FROM qualifying_activity s CROSS JOIN LATERAL (
    SELECT sum(q.paid_minor)::bigint AS paid_left, sum(q.spend_minor)::bigint AS spend_left,
      sum(q.bills) AS bills
    FROM qualifying_activity q WHERE q.account_id = s.account_id
      AND q.business_date = s.business_date AND q.sale = s.sale) r
  WHERE s.account_id = :account_id AND s.sale = :sale AND s.key = :sale
)
INSERT INTO qualifying_activity (account_id, business_id, business_date, occurred_at, sale, key,
  spend_minor, paid_minor, currency, bills, nights, referrals, stay)
SELECT b.account_id, b.business_id, b.business_date, :occurred_at, :sale, :key,
  b.taken - CASE WHEN b.back >= b.paid_minor THEN b.spend_minor
    ELSE div(b.spend_minor::numeric * b.back, b.paid_minor)::bigint END,
  b.before - b.back, b.currency, CASE WHEN all_of_it THEN -1 ELSE 0 END,
  CASE WHEN all_of_it THEN (SELECT CASE WHEN sum(q.bills) = 1 THEN -sum(q.nights) ELSE 0 END
    FROM qualifying_activity q WHERE q.account_id = b.account_id AND q.stay = b.stay)
  ELSE 0 END, 0, b.stay
FROM bill b CROSS JOIN LATERAL (SELECT b.back >= b.paid_minor AND b.bills > 0 AS all_of_it) x
ON CONFLICT DO NOTHING
""")


async def count_refund(
    db: AsyncConnection,
    *,
    account_id: int,
    sale: str,
    key: str,
    refunded_minor: int | None,
    occurred_at: datetime,
) -> None:
    """Take a refund of `refunded_minor` (None: all) off what the bill called `sale` counts.

    It counts on the bill's own day. A bill that was not counted leaves nothing to take; a refund
    that was counted before takes nothing again. The caller keeps others from the bill.
    """
    facts = {"account_id": account_id, "sale": sale, "key": key, "occurred_at": occurred_at}
    await db.execute(_COUNT, {**facts, "refunded_minor": refunded_minor})
