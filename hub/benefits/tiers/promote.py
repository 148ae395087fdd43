"""Promote: give members the tier that is due on every ladder, and take it where none is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.grant import grant
from hub.benefits.tiers.due import MOVES, MOVES_OF_UNMERGED
from hub.benefits.tiers.ladder import read_by_sets
from hub.benefits.tiers.notify_tiers import GIVE
from hub.clock import business_date
from hub.outbox.messages import put

TIER_LOCK = "hashtextextended('member_tier', member_id)"
"""The number of the lock that whoever moves a member on a ladder holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A move on a ladder; None is no tier. `qualifying` points of the window led to it.

    Where both tiers are the same it is held for another period, or for another reason.
    """

    member_id: int
    ladder: str
    from_tier: str | None
    to_tier: str | None
    qualifying: int
    reason: str
    valid_until: date | None


async def promote(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    now: datetime,
    time_zone: str,
    all_move: bool = False,
) -> list[Promotion]:
    """Give each member the tiers that are due, with their benefits; returns who moved.

    Activity counts by business date, in the window of each ladder that `now` falls in, in
    `time_zone`. Upwards at once. Down by refunds of the window's sales, and where the time of a
    tier is over and what keeps it was not done (hub/benefits/tiers/due.py). Call it when the
    members' activity has changed, in the same transaction. With `all_move` nobody is looked for
    first who moves: they all do, or nearly so.
    """
    movers = set(member_ids)
    promoted: list[Promotion] = []
    if not all_move:
        found = await read_by_sets(
            db, MOVES, of_unmerged=MOVES_OF_UNMERGED, member_ids=member_ids, now=now,
            time_zone=time_zone,
        )  # fmt: skip
        movers = {row.member_id for row in found}
    if movers:
        await lock_tiers(db, member_ids=sorted(movers))
    today = business_date(now, time_zone)
    while movers:
        # Who was merged since the first look is judged by all that is theirs by now.
        moves = await read_by_sets(
            db, MOVES, member_ids=sorted(movers), now=now, time_zone=time_zone
        )
        await _write(db, moves, now)
        judged = [_promotion(row) for row in moves]
        promoted += judged
        # Of who was not judged for several periods, each is judged in its turn.
        movers = {one.member_id for one in judged if one.valid_until and one.valid_until < today}
    if promoted:
        moved = sorted({one.member_id for one in promoted})
        await grant(db, member_ids=moved, now=now, time_zone=time_zone)
    return promoted


async def lock_tiers(db: AsyncConnection, *, member_ids: Sequence[int]) -> None:
    """Wait for whoever moves these members on a ladder; what is read then is what they left.

    These locks come last in a transaction, after members and balances, so that nobody waits in a
    circle.
    """
    await db.execute(
        text(f"""
          SELECT pg_advisory_xact_lock({TIER_LOCK})
          FROM (SELECT member_id FROM unnest(CAST(:movers AS bigint[])) AS m (member_id)
            ORDER BY member_id) AS ordered"""),  # noqa: S608 - a constant of ours
        {"movers": list(member_ids)},
    )


def _promotion(row: Row[Any]) -> Promotion:
    return Promotion(
        member_id=row.member_id,
        ladder=row.ladder,
        from_tier=row.from_tier,
        to_tier=row.to_tier,
        qualifying=row.qualifying,
        reason=row.reason,
        valid_until=row.valid_until,
    )


async def _write(db: AsyncConnection, moves: Sequence[Row[Any]], now: datetime) -> None:
    """End the tiers that were, then open those that are: only one may be open per ladder."""
    held = [row for row in moves if row.step is not None]
    await db.execute(
        text("""
          UPDATE member_tier h SET until = greatest(since, :now)
          FROM unnest(CAST(:members AS bigint[]), CAST(:steps AS integer[])) AS x (m, s)
          WHERE h.member_id = ANY(CAST(:members AS bigint[])) AND h.until IS NULL
            AND h.member_id = m AND h.step = s"""),
        {
            "members": [row.member_id for row in held],
            "steps": [row.step for row in held],
            "now": now,
        },
    )
    given = [row for row in moves if row.tier_id is not None]
    columns = {name: [getattr(row, name) for row in given] for name in _TYPES}
    due = list(await db.scalars(_OPEN, {"now": now, **columns}))
    if due:
        await put(db, actor=GIVE, references=due, available_at=now)


_TYPES = {
    "member_id": "bigint",
    "ladder_id": "smallint",
    "tier_id": "smallint",
    "award_id": "bigint",
    "terms_from": "timestamptz",
    "window_from": "date",
    "window_to": "date",
    "held_to": "date",
    "valid_until": "date",
    "qualifying": "bigint",
    "reason": "text",
}
# Who is told: of a tier above the one before, or of a first one that not everybody has, and of the
# step down from one that was not kept.
_OPEN = text(f"""
WITH opened AS (INSERT INTO member_tier (step, since, {", ".join(_TYPES)})
SELECT coalesce((SELECT max(step) FROM member_tier h WHERE h.member_id = x.member_id), 0)
  + row_number() OVER (PARTITION BY x.member_id ORDER BY x.ladder_id), :now,
  {", ".join(f"x.{name}" for name in _TYPES)}
FROM unnest({", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _TYPES.items())})
  AS x ({", ".join(_TYPES)})
RETURNING member_id, step, ladder_id, tier_id, reason, valid_until
)
INSERT INTO tier_notice (member_id, step, kind, days_ahead, valid_until)
SELECT o.member_id, o.step, CASE WHEN o.reason = 'stepped_down' THEN 'stepped_down' ELSE 'upgraded'
  END, 0, o.valid_until
FROM opened o JOIN tier t USING (tier_id)
LEFT JOIN LATERAL (SELECT t.rank FROM member_tier h JOIN tier t USING (tier_id)
  WHERE h.member_id = o.member_id AND h.ladder_id = o.ladder_id ORDER BY h.step DESC LIMIT 1) was
  ON true
WHERE o.reason = 'stepped_down' OR t.rank > was.rank
  OR was.rank IS NULL AND o.valid_until IS NOT NULL
RETURNING notice_id
""")  # noqa: S608 - constants of ours
