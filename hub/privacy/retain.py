"""Retain: forbid that a member is erased, for a reason and a time."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Malformed, NotFound

LONGEST_WORDS = 500
LONGEST_KEY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Why a member may not be erased; `ends_at` None: until it is released.

    `released_because` is None, too, of what was released before reasons were kept.
    """

    retention_id: int
    member_id: int
    reason: str
    placed_by: str
    placed_at: datetime
    ends_at: datetime | None
    released_at: datetime | None
    released_by: str | None
    released_because: str | None

    def holds(self, now: datetime) -> bool:
        """Say whether it forbids an erasure now."""
        return self.released_at is None and (self.ends_at is None or self.ends_at > now)


COLUMNS = """retention_id, member_id, reason, placed_by, placed_at, ends_at, released_at,
  released_by, released_because"""


async def retain(
    db: AsyncConnection,
    *,
    member_id: int,
    reason: str,
    placed_by: str,
    ends_at: datetime | None,
    now: datetime,
    idempotency_key: str | None = None,
) -> Retention:
    """Forbid a member's erasure until `ends_at`; waits for an erasure that has begun.

    Asked again under a key, the retention that was placed is returned as it now is. Raises NotFound
    for an unknown or erased member, Malformed for words that say nothing and an end that has
    passed, Conflict when the key was used for another retention.
    """
    worded(reason, field="reason")
    worded(placed_by, field="placed_by")
    _key(idempotency_key)
    _instant(ends_at)
    found = await db.scalar(
        text("""
          SELECT member_id FROM member WHERE member_id = (
              SELECT coalesce(merged_into, member_id) FROM member WHERE member_id = :member_id)
            AND erased_at IS NULL FOR NO KEY UPDATE"""),
        {"member_id": member_id},
    )
    if found is None:
        raise NotFound(f"there is no member {member_id}", field="member_id")
    asked: dict[str, object] = {"reason": reason, "placed_by": placed_by, "ends_at": ends_at}
    # Whoever asks again may do so after the end: what was placed is looked for first.
    if idempotency_key is not None:
        before = await _placed_before(db, found, idempotency_key, asked)
        if before is not None:
            return before
    if ends_at is not None and ends_at <= now:
        raise Malformed("it must end in the future", field="ends_at")
    placed = await db.execute(
        text(f"""
          INSERT INTO retention (member_id, reason, placed_by, placed_at, ends_at, idempotency_key)
          VALUES (:member_id, :reason, :placed_by, :now, :ends_at, :key)
          ON CONFLICT (idempotency_key) DO NOTHING RETURNING {COLUMNS}"""),  # noqa: S608
        {**asked, "member_id": found, "now": now, "key": idempotency_key},
    )
    row = placed.one_or_none()
    if row is not None:
        return Retention(**row._asdict())
    # Somebody else was faster, for another member: those of one member wait for each other.
    placed_meanwhile = await _placed_before(db, found, idempotency_key or "", asked)
    if placed_meanwhile is None:
        raise RuntimeError("a key is taken by no retention")
    return placed_meanwhile


def worded(words: str, *, field: str) -> None:
    """Raise Malformed unless `words` say something that can be kept."""
    if not words.strip() or len(words) > LONGEST_WORDS or not words.isprintable():
        raise Malformed(f"{field} has 1 to {LONGEST_WORDS} printable characters", field=field)


async def _placed_before(
    db: AsyncConnection, member_id: int, idempotency_key: str, asked: dict[str, object]
) -> Retention | None:
    """Return the retention that was placed under a key, if any; raises Conflict for another one."""
    row = (
        await db.execute(
            text(f"""
              SELECT {COLUMNS}, (SELECT coalesce(m.merged_into, m.member_id) FROM member m
                WHERE m.member_id = retention.member_id) AS of_whom
              FROM retention WHERE idempotency_key = :key"""),  # noqa: S608 - a constant of ours
            {"key": idempotency_key},
        )
    ).one_or_none()
    if row is None:
        return None
    facts = row._asdict()
    of_whom = facts.pop("of_whom")
    for field, value in {"member_id": member_id, **asked}.items():
        stored = of_whom if field == "member_id" else facts[field]
        if stored != value:
            raise Conflict(
                f"this idempotency key was used before for another retention (its {field}: "
                f"{stored}): send that one again, or use a new key",
                field=field,
            )
    return Retention(**facts)


def _key(idempotency_key: str | None) -> None:
    if idempotency_key is not None and not (
        1 <= len(idempotency_key) <= LONGEST_KEY and idempotency_key.isprintable()
    ):
        raise Malformed(
            f"an idempotency key has 1 to {LONGEST_KEY} printable characters",
            field="idempotency_key",
        )


def _instant(ends_at: datetime | None) -> None:
    if ends_at is None:
        return
    if ends_at.utcoffset() is None:
        raise Malformed("an end needs an offset from UTC", field="ends_at")
    try:
        ends_at.astimezone(UTC)
    except OverflowError:
        raise Malformed("it must end within the years that there are", field="ends_at") from None
