"""What was redeemed of each cohort month by month, and where that leads."""

from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.development import Cohort, Developed, develop

# From the daily sums, which are at most a minute behind. Points issued are less those clawed back;
# a month counts once it is over.
_HISTORY = text("""
WITH sums AS (
  SELECT cohort, date_trunc('month', business_date)::date AS month,
    sum(CASE WHEN debit IN (10, 70) THEN points WHEN credit IN (40, 80) AND debit = 1 THEN -points
      ELSE 0 END)::bigint AS issued,
    sum(CASE WHEN credit = 20 THEN points WHEN debit = 20 THEN -points ELSE 0 END)::bigint
      AS redeemed
  FROM entry_daily
  WHERE issuer_id = :issuer_id AND unit = CAST(:unit AS smallint)
    AND business_date < date_trunc('month', CAST(:on AS date))
  GROUP BY cohort, month
), totals AS (
  SELECT cohort, sum(issued)::bigint AS issued FROM sums GROUP BY cohort
)
SELECT t.cohort, t.issued, array_agg(coalesce(s.redeemed, 0) ORDER BY m.month) AS redeemed
FROM totals t
CROSS JOIN LATERAL generate_series(t.cohort,
  date_trunc('month', CAST(:on AS date)) - interval '1 month', interval '1 month') m (month)
LEFT JOIN sums s ON s.cohort = t.cohort AND s.month = m.month::date
GROUP BY t.cohort, t.issued ORDER BY t.cohort
""")


async def history(db: AsyncConnection, *, issuer_id: int, unit: int, on: date) -> list[Developed]:
    """Return where the redemption of each of an issuer's cohorts is expected to end.

    From the months that are over on `on`. How: hub.accounting.development.
    """
    rows = await db.execute(_HISTORY, {"issuer_id": issuer_id, "unit": unit, "on": on})
    return develop(
        [Cohort(cohort=row.cohort, issued=row.issued, redeemed=tuple(row.redeemed)) for row in rows]
    )
