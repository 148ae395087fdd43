"""Reads of the queue: reviews by state, reason and who looks at them, and what was done."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of
from hub.members.review.items import COLUMNS, ReviewItem


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewStep:
    """Something that was done with a review: `done` in a word, by whom, when, and why."""

    review_id: int
    done: str
    done_at: datetime
    done_by: str
    note: str | None


REVIEWS = Keyset((Column("review_id", int),))
"""The oldest first."""
BY_OPENING = Keyset((Column("opened_at", datetime), Column("review_id", int)))
BY_SCORE = Keyset((Column("score", float), Column("review_id", int)), where="score IS NOT NULL")
"""Those alone that the batch matcher asks about, by the highest weight of a candidate, in bits."""


class ReviewFilter(NamedTuple):
    """Which reviews. `assigned`: that somebody looks at, or nobody; `least_score`, in bits."""

    states: Sequence[str] | None = None
    reasons: Sequence[str] | None = None
    assigned_to: str | None = None
    assigned: bool | None = None
    least_score: float | None = None
    opened_from: datetime | None = None
    opened_before: datetime | None = None


_FILTERS = {
    "states": "state = ANY (CAST(:states AS text[]))",
    "reasons": "reason = ANY (CAST(:reasons AS text[]))",
    "assigned_to": "assigned_to = :assigned_to",
    "assigned": "(assigned_to IS NOT NULL) = :assigned",
    "least_score": "score >= :least_score",
    "opened_from": "opened_at >= :opened_from",
    "opened_before": "opened_at < :opened_before",
}
_QUEUE = "state = 'open'"


async def review_items(
    db: AsyncConnection,
    *,
    only: ReviewFilter | None = None,
    order: Keyset = REVIEWS,
    stretch: Stretch,
) -> list[ReviewItem]:
    """Return reviews, by REVIEWS unless asked otherwise."""
    said = (only or ReviewFilter())._asdict()
    if said["states"] == ["open"]:
        # So that the indexes on what waits are known to hold all of it.
        order = replace(order, where=" AND ".join(filter(None, (order.where, _QUEUE))))
    ending, facts = page_of(order, stretch, only=said, filters=_FILTERS)
    rows = await db.execute(text(f"SELECT {COLUMNS} FROM review_item {ending}"), facts)  # noqa: S608
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
