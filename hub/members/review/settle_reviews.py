"""Settle reviews: close those that a merge, a split or a decision has left nothing to ask of."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_SETTLE = text("""
WITH touched AS (
  SELECT r.review_id FROM account_link l JOIN review_item r ON r.account_id = l.account_id
  WHERE l.member_id = ANY (CAST(:births AS bigint[])) AND upper_inf(l.valid) AND r.state = 'open'
  UNION
  SELECT review_id FROM review_item
  WHERE candidates && CAST(:births AS bigint[]) AND state = 'open'
), settled AS (
  SELECT r.review_id FROM review_item r JOIN touched USING (review_id)
  WHERE r.state = 'open' AND r.review_id IS DISTINCT FROM CAST(:review_id AS bigint)
    AND review_doubts(r.account_id, r.candidates, r.link_doubted) = '{}'
  ORDER BY r.review_id FOR NO KEY UPDATE OF r
), closed AS (
  UPDATE review_item r SET state = 'dismissed', decision = 'settled', decided_at = :now,
    decided_by = :actor, note = :reason, undone_at = NULL
  FROM settled WHERE r.review_id = settled.review_id
  RETURNING r.review_id
)
INSERT INTO review_step (review_id, done_at, done, done_by, note, settled_by)
SELECT review_id, :now, 'dismissed', :actor, :reason, CAST(:review_id AS bigint) FROM closed
""")


async def settle_reviews(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    actor: str,
    now: datetime,
    reason: str,
    review_id: int | None = None,
) -> int:
    """Dismiss the open reviews about these births that are answered by who is who now.

    For whoever merges, splits or sets members apart, with their locks held. `review_id` is the
    review that is being decided: it is left to that decision. Returns how many were dismissed.
    """
    closed = await db.execute(
        _SETTLE,
        {
            "births": list(member_ids),
            "review_id": review_id,
            "now": now,
            "actor": actor,
            "reason": reason,
        },
    )
    return closed.rowcount
