"""Promote: move members up the ladder at once, and back where a refund undid what took them up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.grant import grant
from hub.benefits.tiers.ladder import LADDER, QUALIFYING
from hub.benefits.year import Year, year_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A move on the ladder; None is no tier. `qualifying` points of the year led to it."""

    member_id: int
    from_tier: str | None
    to_tier: str | None
    qualifying: int


# A member is due the highest of three: what the year's qualifying points reach by the terms in
# force; what they reached earlier this year and still bear by the terms of that day (dearer terms
# take nothing from anybody); and the tier held when the year began, which is kept for the year, as
# is what a merge brought and what a split gave back.
_MOVES = text(f"""
WITH {LADDER}, {QUALIFYING}, asked AS (
  SELECT DISTINCT member_id, coalesce(points, 0) AS points
  FROM unnest(CAST(:member_ids AS bigint[])) AS a (member_id) LEFT JOIN qualifying USING (member_id)
), due AS (
  SELECT DISTINCT ON (member_id) * FROM (
    SELECT a.member_id, l.tier_id, l.rank, l.threshold
    FROM asked a JOIN ladder l ON l.threshold <= a.points
    UNION ALL
    SELECT h.member_id, h.tier_id, t.rank, h.threshold
    FROM asked a JOIN member_tier h USING (member_id) JOIN tier t USING (tier_id)
    WHERE NOT h.undone AND CASE
      WHEN h.since < :began_at THEN h.until IS NULL OR h.until > :began_at
      ELSE h.reason IN ('merged', 'split') OR h.threshold <= a.points END
  ) AS candidates ORDER BY member_id, rank DESC, threshold
)
SELECT a.member_id, a.points AS qualifying, due.tier_id, due.threshold, held.step,
  was.code AS from_tier, will.code AS to_tier,
  CASE WHEN coalesce(will.rank > was.rank, was.rank IS NULL) THEN 'reached' ELSE 'taken_back' END
    AS reason
FROM asked a
LEFT JOIN due USING (member_id)
LEFT JOIN member_tier held ON held.member_id = a.member_id AND held.until IS NULL
LEFT JOIN tier was ON was.tier_id = held.tier_id
LEFT JOIN tier will ON will.tier_id = due.tier_id
WHERE due.tier_id IS DISTINCT FROM held.tier_id
ORDER BY a.member_id
""")  # noqa: S608 - constants of ours


async def promote(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime, time_zone: str
) -> list[Promotion]:
    """Give each member the tier that is due, with its benefits; returns who moved.

    Qualifying points count by business date within the calendar year of `now` in `time_zone`.
    Upwards at once. Down only by refunds of this year's sales, never below the tier that the year
    began with. Call it when the members' points have moved, in the same transaction.
    """
    year = year_of(now, time_zone)
    movers = [row.member_id for row in await _moves(db, member_ids, now, year)]
    if not movers:
        return []
    await lock_tiers(db, member_ids=movers)
    moves = await _moves(db, movers, now, year)
    await _write(db, moves, now)
    promoted = [
        Promotion(
            member_id=row.member_id,
            from_tier=row.from_tier,
            to_tier=row.to_tier,
            qualifying=row.qualifying,
        )
        for row in moves
    ]
    await grant(db, member_ids=[p.member_id for p in promoted], now=now, time_zone=time_zone)
    return promoted


async def lock_tiers(db: AsyncConnection, *, member_ids: Sequence[int]) -> None:
    """Wait for whoever moves these members on the ladder; what is read then is what they left.

    These locks come last in a transaction, after members and balances, so that nobody waits in a
    circle.
    """
    await db.execute(
        text("""
          SELECT pg_advisory_xact_lock(hashtextextended('member_tier', member_id))
          FROM (SELECT member_id FROM unnest(CAST(:movers AS bigint[])) AS m (member_id)
            ORDER BY member_id) AS ordered"""),
        {"movers": list(member_ids)},
    )


async def _moves(
    db: AsyncConnection, member_ids: Sequence[int], now: datetime, year: Year
) -> Sequence[Row[Any]]:
    facts = {
        "member_ids": list(member_ids),
        "now": now,
        "starts_on": year.starts_on,
        "ends_on": year.ends_on,
        "began_at": year.began_at,
    }
    return (await db.execute(_MOVES, facts)).all()


async def _write(db: AsyncConnection, moves: Sequence[Row[Any]], now: datetime) -> None:
    """End the tiers that were, then open those that are: only one may be open per member."""
    await db.execute(
        text("""
          UPDATE member_tier SET until = greatest(since, :now)
          WHERE member_id = ANY(CAST(:members AS bigint[])) AND until IS NULL"""),
        {"members": [row.member_id for row in moves], "now": now},
    )
    given = [row for row in moves if row.tier_id is not None]
    await db.execute(
        text("""
          INSERT INTO member_tier (member_id, step, tier_id, since, threshold, qualifying, reason)
          SELECT m, coalesce((SELECT max(step) FROM member_tier h WHERE h.member_id = m), 0) + 1,
            t, :now, th, q, r
          FROM unnest(CAST(:members AS bigint[]), CAST(:tiers AS smallint[]),
            CAST(:thresholds AS bigint[]), CAST(:qualifying AS bigint[]), CAST(:reasons AS text[]))
            AS x (m, t, th, q, r)"""),
        {
            "members": [row.member_id for row in given],
            "tiers": [row.tier_id for row in given],
            "thresholds": [row.threshold for row in given],
            "qualifying": [row.qualifying for row in given],
            "reasons": [row.reason for row in given],
            "now": now,
        },
    )
