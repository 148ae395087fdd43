"""The ageing of breaks: how many are open, for how long, and what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

BOUNDS = (7, 30, 60, 90)
"""Days: a break belongs to the first bound that it is not older than, or to what is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """Open breaks of a book, kind and currency that are up to `up_to_days` old (None: older).

    `amount_minor` and `points` are sums of absolute differences: what is in question.
    """

    business_id: int
    role: str
    kind: str
    currency: str | None
    up_to_days: int | None
    breaks: int
    points: int
    amount_minor: int
    oldest_at: datetime
    unowned: int


_AGEING = """
SELECT business_id, role, kind, currency,
  (SELECT min(bound) FROM unnest(CAST(:bounds AS integer[])) AS bound
    WHERE opened_at > CAST(:now AS timestamptz) - (bound + 1) * CAST(:day AS interval))
    AS up_to_days,
  count(*) AS breaks, coalesce(sum(abs(points)), 0)::bigint AS points,
  coalesce(sum(abs(amount_minor)), 0)::bigint AS amount_minor, min(opened_at) AS oldest_at,
  count(*) FILTER (WHERE owner IS NULL) AS unowned
FROM reconciliation_break JOIN reconciliation_book USING (book_id)
WHERE closed_at IS NULL
  AND business_id = ANY (CAST(:business_ids AS smallint[]))
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 5 NULLS LAST, 3, 4"""


async def ageing(db: AsyncConnection, *, now: datetime, business_ids: Sequence[int]) -> list[Aged]:
    """Return the open breaks of these businesses' books by book, age, kind and currency."""
    rows = await db.execute(
        text(_AGEING),
        {
            "now": now,
            "day": timedelta(days=1),
            "bounds": list(BOUNDS),
            "business_ids": list(business_ids),
        },
    )
    return [Aged(**row._asdict()) for row in rows]
