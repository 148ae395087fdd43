"""Notify expiry: ask for a notice to whoever has points that end soon, once for each distance."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.outbox.messages import put

CHUNK_MEMBERS = 20_000
DAYS_AHEAD = (30, 7, 1)
# Long enough to answer what somebody was told before last year's clear-out.
KEPT_DAYS = 400
GIVE = "points.give_notice"


@dataclass(frozen=True, slots=True)
class Notified:
    """What one chunk asked for and took back; `last_member_id` is where the next one goes on."""

    due: int
    withdrawn: int
    last_member_id: int | None


# Each table is bounded to the chunk's members by itself: the planner does not carry a bound over.
#
# What ends on which day. A day that is nearer than a distance and had no notice of it has one now:
# a day without this job is made up for. Of two distances that were missed the nearer one is due.
_DUE = text("""
WITH ending AS (
  SELECT l.member_id, l.unit, l.remaining,
    lot_ends_on(l.expires_on, l.idle_months, l.pending AND l.activates_at > :now,
      b.last_active_on) AS ends_on
  FROM lot l JOIN balance b USING (member_id, unit)
  WHERE l.open AND l.member_id > :after AND l.member_id <= :until
    AND b.member_id > :after AND b.member_id <= :until
), days AS (
  SELECT member_id, unit, ends_on, sum(remaining)::bigint AS points,
    (SELECT min(d) FROM unnest(CAST(:days_ahead AS smallint[])) AS d
      WHERE CAST(:today AS date) + d >= ends_on)
      AS days_ahead
  FROM ending WHERE ends_on BETWEEN :today AND :horizon
  GROUP BY member_id, unit, ends_on
)
INSERT INTO expiry_notice (member_id, unit, expires_on, days_ahead, points)
SELECT member_id, unit, ends_on, days_ahead, points FROM days ORDER BY member_id, unit, ends_on
ON CONFLICT (member_id, unit, expires_on, days_ahead) DO NOTHING
RETURNING notice_id
""")

# A member who was told of a day on which nothing ends any more need not be told so still.
_WITHDRAW = text("""
UPDATE expiry_notice n SET state = 'withdrawn'
WHERE n.member_id > :after AND n.member_id <= :until AND n.state = 'given'
  AND n.expires_on >= :today AND NOT EXISTS (
    SELECT 1 FROM lot l JOIN balance b USING (member_id, unit)
    WHERE l.member_id = n.member_id AND l.unit = n.unit AND l.open
      AND l.member_id > :after AND l.member_id <= :until
      AND b.member_id > :after AND b.member_id <= :until
      AND lot_ends_on(l.expires_on, l.idle_months, l.pending AND l.activates_at > :now,
        b.last_active_on) = n.expires_on)
""")

_FORGET = text("""
DELETE FROM expiry_notice
WHERE member_id > :after AND member_id <= :until AND expires_on < :kept_since
""")


async def notify_expiry(
    db: AsyncConnection,
    *,
    today: date,
    now: datetime,
    available_at: datetime,
    after_member_id: int = 0,
    members: int = CHUNK_MEMBERS,
) -> Notified:
    """Make due the notices of the next `members` members, in the order of their ids.

    A member is told of a unit and a day at most once from each of DAYS_AHEAD, however often this
    runs. The notices are given from `available_at`. What was told and is no longer so is withdrawn;
    what ended more than KEPT_DAYS ago is forgotten.
    The caller commits each chunk and goes on from `last_member_id` until it is None.
    """
    until = await db.scalar(
        text("""
          SELECT max(member_id) FROM (
            SELECT DISTINCT member_id FROM balance WHERE member_id > :after
            ORDER BY member_id LIMIT :members) AS chunk"""),
        {"after": after_member_id, "members": members},
    )
    if until is None:
        return Notified(0, 0, None)
    # One at a time: two of them would wait for each other's rows, in whatever order they come.
    await db.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('expiry_notice', 0))"))
    chunk = {"after": after_member_id, "until": until, "today": today, "now": now}
    await db.execute(_FORGET, {**chunk, "kept_since": today - timedelta(days=KEPT_DAYS)})
    withdrawn = await db.execute(_WITHDRAW, chunk)
    horizon = today + timedelta(days=max(DAYS_AHEAD))
    due = list(
        await db.scalars(_DUE, {**chunk, "horizon": horizon, "days_ahead": list(DAYS_AHEAD)})
    )
    if due:
        await put(db, actor=GIVE, references=due, available_at=max(now, available_at))
    return Notified(len(due), withdrawn.rowcount, until)
