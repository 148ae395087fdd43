"""Reads on runs of the batch match."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_RUNS = text("""
SELECT r.run_id, r.kind, r.model_id, r.started_at, r.finished_at, r.accounts, r.pairs, r.automatic,
  r.review, r.merged, r.split, r.asked, CASE WHEN r.finished_at IS NULL THEN (
    SELECT count(*) FROM match_step s WHERE s.run_id = r.run_id AND s.done_at IS NULL)
  ELSE 0 END AS left_over
FROM match_run r ORDER BY r.run_id DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run: what it looked at, what it found, and what has been done.

    `accounts` it looked at (all, or those that had changed) and `pairs` it weighed, of which so
    many were `automatic` and so many for `review`. `merged`, `split` and `asked` count, once it is
    finished, the steps that were taken; `left_over`, until then, those that are not.
    """

    run_id: int
    kind: str
    model_id: int
    started_at: datetime
    finished_at: datetime | None
    accounts: int
    pairs: int
    automatic: int
    review: int
    merged: int
    split: int
    asked: int
    left_over: int


async def runs(db: AsyncConnection, *, limit: int) -> list[Run]:
    """Return the latest runs, the last one first."""
    return [Run(**row._asdict()) for row in await db.execute(_RUNS, {"limit": limit})]
