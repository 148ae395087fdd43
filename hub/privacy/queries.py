"""Reads of what forbids an erasure."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.privacy.retain import COLUMNS, Retention


async def retentions(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime | None = None
) -> list[Retention]:
    """Return these members' retentions, oldest first; given `now`, those that hold then."""
    rows = await db.execute(
        text(f"""
          SELECT {COLUMNS} FROM retention
          WHERE member_id = ANY (CAST(:member_ids AS bigint[]))
            AND (CAST(:now AS timestamptz) IS NULL
              OR (released_at IS NULL AND (ends_at IS NULL OR ends_at > :now)))
          ORDER BY retention_id"""),  # noqa: S608 - a constant of ours
        {"member_ids": list(member_ids), "now": now},
    )
    return [Retention(**row._asdict()) for row in rows]


async def retentions_of(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime, limit: int
) -> dict[int, list[Retention]]:
    """Return up to `limit` retentions of each member with all merged into it.

    Those that hold come first, of these the newest; what was lifted or has ended is told too.
    """
    rows = await db.execute(
        text(f"""
          SELECT w.wanted, r.* FROM unnest(CAST(:member_ids AS bigint[])) AS w (wanted)
          CROSS JOIN LATERAL (SELECT {COLUMNS} FROM retention
            WHERE member_id IN (
              SELECT coalesce(m.merged_into, m.member_id) FROM member m
              WHERE m.member_id = w.wanted
              UNION ALL SELECT f.member_id FROM member m
              JOIN member f ON f.merged_into = coalesce(m.merged_into, m.member_id)
              WHERE m.member_id = w.wanted)
            ORDER BY (released_at IS NULL AND (ends_at IS NULL OR ends_at > :now)) DESC,
              retention_id DESC LIMIT :limit) r"""),  # noqa: S608 - a constant of ours
        {"member_ids": list(member_ids), "now": now, "limit": limit},
    )
    found: dict[int, list[Retention]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        facts = row._asdict()
        found[facts.pop("wanted")].append(Retention(**facts))
    return found
