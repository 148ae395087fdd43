"""Give notice: say what still ends, as it is at this moment, or withdraw the notice."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Whoever subscribed is told of those that are given (0052_benefit_events.sql).
_GIVE = text("""
WITH done AS (
UPDATE expiry_notice n SET state = CASE WHEN left_over.points > 0 THEN 'given' ELSE 'withdrawn' END,
  given_at = CASE WHEN left_over.points > 0 THEN CAST(:now AS timestamptz) END,
  points = coalesce(left_over.points, n.points)
FROM (
  SELECT a.member_id, a.unit, a.expires_on, a.days_ahead, (
    SELECT sum(l.remaining)::bigint FROM lot l JOIN balance b USING (member_id, unit)
    WHERE l.member_id = a.member_id AND l.unit = a.unit AND l.open AND a.expires_on >= :today
      AND lot_ends_on(l.expires_on, l.idle_months, l.pending AND l.activates_at > :now,
        b.last_active_on) = a.expires_on
  ) AS points
  FROM expiry_notice a WHERE a.notice_id = ANY(CAST(:notice_ids AS bigint[]))
) AS left_over
WHERE n.member_id = left_over.member_id AND n.unit = left_over.unit
  AND n.expires_on = left_over.expires_on AND n.days_ahead = left_over.days_ahead
  AND n.state = 'due'
RETURNING n.*
), told AS (
  INSERT INTO event_due (type, member_id, occurred_at, detail)
  SELECT 'points.expiring', d.member_id, d.given_at, jsonb_build_object('unit', u.code,
    'points', d.points, 'expires_on', d.expires_on, 'days_ahead', d.days_ahead)
  FROM done d JOIN point_unit u ON u.unit_id = d.unit
  WHERE d.state = 'given' AND is_subscribed('points.expiring')
)
SELECT state FROM done
""")


async def give_notice(
    db: AsyncConnection, *, notice_ids: Sequence[int], today: date, now: datetime
) -> int:
    """Give the notices that are due, with what ends by now; returns how many were given.

    What was spent, or given more time, since the notice became due is not told of: the notice is
    withdrawn. One that was given or withdrawn before is left as it is.
    """
    states = await db.scalars(_GIVE, {"notice_ids": list(notice_ids), "today": today, "now": now})
    return sum(state == "given" for state in states)
