"""Count sales: what bills count for tiers, besides the points that they earn."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# A stay has as many bills as its guest asked for, and its nights once.
_COUNT = text("""
INSERT INTO qualifying_activity (account_id, business_id, business_date, occurred_at, sale, key,
  spend_minor, paid_minor, currency, bills, nights, referrals, stay)
SELECT x.account_id, x.business_id, x.business_date, x.occurred_at, x.key, x.key, x.spend_minor,
  x.paid_minor, x.currency, 1, CASE WHEN x.stay IS NOT NULL
    AND row_number() OVER (PARTITION BY x.account_id, x.stay ORDER BY x.nights DESC, x.key) = 1
    AND NOT EXISTS (SELECT 1 FROM qualifying_activity q
      WHERE q.account_id = x.account_id AND q.stay = x.stay HAVING sum(q.nights) > 0)
    THEN x.nights ELSE 0 END, 0, x.stay
FROM unnest(CAST(:account_id AS bigint[]), CAST(:business_id AS smallint[]),
  CAST(:business_date AS date[]), CAST(:occurred_at AS timestamptz[]), CAST(:key AS text[]),
  CAST(:spend_minor AS bigint[]), CAST(:paid_minor AS bigint[]), CAST(:currency AS text[]),
  CAST(:stay AS text[]), CAST(:nights AS smallint[]))
  AS x (account_id, business_id, business_date, occurred_at, key, spend_minor, paid_minor, currency,
    stay, nights)
ON CONFLICT DO NOTHING
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedSale:
    """A bill. `spend_minor` is what earns of it, in the `currency` its business accounts in.

    `paid_minor` is its total in its own currency: refunds take as large a part of the spend as of
    it. `stay` is what a stay is called in all its bills.
    """

    account_id: int
    business_id: int
    business_date: date
    occurred_at: datetime
    key: str
    spend_minor: int
    paid_minor: int
    currency: str
    stay: str | None = None
    nights: int = 0


async def count_sales(db: AsyncConnection, *, sales: Sequence[CountedSale]) -> None:
    """Keep what `sales` count. One that was counted before counts once."""
    if sales:
        names = [each.name for each in fields(CountedSale)]
        await db.execute(_COUNT, {name: [getattr(s, name) for s in sales] for name in names})
