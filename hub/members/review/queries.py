"""Reads of the queue: reviews by state, reason and who looks at them, and what was done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.review.items import COLUMNS, ReviewItem

_PAGE = """
SELECT {columns} FROM review_item
WHERE (CAST(:state AS text) IS NULL OR state = :state)
  AND (CAST(:reason AS text) IS NULL OR reason = :reason)
  AND (CAST(:assigned_to AS text) IS NULL OR assigned_to = :assigned_to)
  AND review_id > CAST(:after AS bigint) AND review_id < CAST(:before AS bigint)
ORDER BY review_id {order} LIMIT CAST(:limit AS integer)
"""
_FORWARD, _BACKWARD = (
    text(_PAGE.format(columns=COLUMNS, order=order)) for order in ("ASC", "DESC")
)
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewStep:
    """Something that was done with a review: `done` in a word, by whom, when, and why."""

    review_id: int
    done: str
    done_at: datetime
    done_by: str
    note: str | None


async def review_items(
    db: AsyncConnection,
    *,
    limit: int,
    state: str | None = None,
    reason: str | None = None,
    assigned_to: str | None = None,
    after: int | None = None,
    before: int | None = None,
    backward: bool = False,
) -> list[ReviewItem]:
    """Return reviews, oldest first (`backward`: newest first), between two numbers."""
    rows = await db.execute(
        _BACKWARD if backward else _FORWARD,
        {
            "state": state,
            "reason": reason,
            "assigned_to": assigned_to,
            "after": after or 0,
            "before": before or _LAST,
            "limit": limit,
        },
    )
    return [ReviewItem(**row._asdict()) for row in rows]


async def reviews_by_id(db: AsyncConnection, *, review_ids: Sequence[int]) -> dict[int, ReviewItem]:
    """Return reviews by their numbers; unknown ones are left out."""
    rows = await db.execute(
        text(f"""
          SELECT {COLUMNS} FROM review_item
          WHERE review_id = ANY (CAST(:wanted AS bigint[]))"""),  # noqa: S608 - a constant of ours
        {"wanted": list(review_ids)},
    )
    return {row.review_id: ReviewItem(**row._asdict()) for row in rows}


async def steps_of(
    db: AsyncConnection, *, review_ids: Sequence[int]
) -> dict[int, list[ReviewStep]]:
    """Return what was done with each of the reviews, oldest first."""
    rows = await db.execute(
        text("""
          SELECT review_id, done, done_at, done_by, note FROM review_step
          WHERE review_id = ANY (CAST(:wanted AS bigint[])) ORDER BY review_id, step_id"""),
        {"wanted": list(review_ids)},
    )
    found: dict[int, list[ReviewStep]] = {one: [] for one in review_ids}
    for row in rows:
        found[row.review_id].append(ReviewStep(**row._asdict()))
    return found
