"""Notify of ending: tell whoever has a voucher that ends soon, once for each distance."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CHUNK_VOUCHERS = 20_000
DAYS_AHEAD = (7, 1)

# By the end that it has now: one that was given more time is told of anew. Of two distances that
# were missed the nearer one is due.
_DUE = text("""
WITH chunk AS MATERIALIZED (
  SELECT v.voucher_id, v.member_id, v.ends_at, (SELECT min(d)
      FROM unnest(CAST(:days_ahead AS smallint[])) AS d
      WHERE CAST(:now AS timestamptz) + make_interval(days => d) >= v.ends_at) AS days_ahead
  FROM voucher v
  WHERE v.state = 0 AND v.ends_at > :now AND v.ends_at <= :horizon
    AND v.member_id IS NOT NULL AND v.used < v.granted AND v.voucher_id > :after
  ORDER BY v.voucher_id LIMIT :vouchers
), given AS (
  INSERT INTO voucher_notice (voucher_id, member_id, ends_at, days_ahead, given_at)
  SELECT voucher_id, member_id, ends_at, days_ahead, :now FROM chunk WHERE days_ahead IS NOT NULL
  ON CONFLICT (voucher_id, ends_at, days_ahead) DO NOTHING
  RETURNING 1
)
SELECT (SELECT count(*) FROM given) AS given, (SELECT max(voucher_id) FROM chunk) AS last
""")


async def notify_ending(
    db: AsyncConnection,
    *,
    now: datetime,
    horizon: datetime,
    after_voucher_id: int = 0,
    vouchers: int = CHUNK_VOUCHERS,
) -> tuple[int, int | None]:
    """Give the notices that are due for the next vouchers that end by `horizon`.

    Returns how many, and the last voucher looked at, to go on from; None when all were. A member
    is told of a voucher's end at most once from each of DAYS_AHEAD, however often this runs.
    """
    row = (
        await db.execute(
            _DUE,
            {
                "now": now,
                "horizon": horizon,
                "days_ahead": list(DAYS_AHEAD),
                "after": after_voucher_id,
                "vouchers": vouchers,
            },
        )
    ).one()
    return row.given, row.last
