"""Retain: forbid that a member is erased, for a reason and a time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, NotFound

LONGEST_WORDS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Why a member may not be erased; `ends_at` None: until it is released."""

    retention_id: int
    member_id: int
    reason: str
    placed_by: str
    placed_at: datetime
    ends_at: datetime | None
    released_at: datetime | None


COLUMNS = "retention_id, member_id, reason, placed_by, placed_at, ends_at, released_at"


async def retain(
    db: AsyncConnection,
    *,
    member_id: int,
    reason: str,
    placed_by: str,
    ends_at: datetime | None,
    now: datetime,
) -> Retention:
    """Forbid a member's erasure until `ends_at`; waits for an erasure that has begun.

    Raises NotFound for an unknown or erased member, Malformed for words that say nothing and an end
    that has passed.
    """
    for field, words in (("reason", reason), ("placed_by", placed_by)):
        if not 1 <= len(words.strip()) <= LONGEST_WORDS or not words.isprintable():
            raise Malformed(f"{field} has 1 to {LONGEST_WORDS} printable characters", field=field)
    if ends_at is not None and (ends_at.utcoffset() is None or ends_at <= now):
        raise Malformed("it must end in the future, with an offset from UTC", field="ends_at")
    found = await db.scalar(
        text("""
          SELECT member_id FROM member WHERE member_id = (
              SELECT coalesce(merged_into, member_id) FROM member WHERE member_id = :member_id)
            AND erased_at IS NULL FOR NO KEY UPDATE"""),
        {"member_id": member_id},
    )
    if found is None:
        raise NotFound(f"there is no member {member_id}", field="member_id")
    row = await db.execute(
        text(f"""
          INSERT INTO retention (member_id, reason, placed_by, placed_at, ends_at)
          VALUES (:member_id, :reason, :placed_by, :now, :ends_at) RETURNING {COLUMNS}"""),  # noqa: S608
        {
            "member_id": found,
            "reason": reason,
            "placed_by": placed_by,
            "now": now,
            "ends_at": ends_at,
        },
    )
    return Retention(**row.one()._asdict())
