"""Reopen: a decision was taken back, so that the review is open again, and what it had settled."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.review.items import ReviewItem, read_review, step

# The same doubt may have been met again meanwhile: its candidates join this one.
_JOIN = text("""
WITH later AS (
  UPDATE review_item o SET state = 'dismissed', decision = 'joined', decided_at = :now,
    decided_by = :actor
  FROM review_item r
  WHERE r.review_id = :review_id AND o.account_id = r.account_id AND o.reason = r.reason
    AND o.state = 'open' AND o.review_id <> r.review_id
  RETURNING o.review_id, o.candidates, o.evidence, o.score
), noted AS (
  INSERT INTO review_step (review_id, done_at, done, done_by, note)
  SELECT review_id, :now, 'dismissed', :actor, 'joined with review ' || :review_id FROM later
)
SELECT candidates, CAST(evidence AS text) AS evidence, score FROM later
""")
_OPEN = text("""
UPDATE review_item SET state = 'open', decision = NULL, chosen = NULL, note = NULL,
  decided_at = NULL, decided_by = NULL, undone_at = :now,
  candidates = array(SELECT DISTINCT unnest(candidates || CAST(:more AS bigint[])) ORDER BY 1),
  evidence = CASE WHEN CAST(:evidence AS jsonb) IS NULL THEN evidence
    ELSE coalesce(evidence, '{}') || CAST(:evidence AS jsonb) END,
  score = greatest(score, CAST(:score AS double precision))
WHERE review_id = :review_id
""")
_SETTLED = text("""
UPDATE review_item SET state = 'dismissed', decision = 'settled', decided_at = :now,
  decided_by = :actor, undone_at = :now
WHERE review_id = :review_id AND review_doubts(account_id, candidates, link_doubted) = '{}'
""")
_OTHERS = text("""
SELECT r.review_id FROM review_item r
WHERE r.state = 'dismissed' AND r.decision = 'settled'
  AND r.review_id IN (SELECT s.review_id FROM review_step s WHERE s.settled_by = :review_id)
  AND review_doubts(r.account_id, r.candidates, r.link_doubted) <> '{}'
  AND NOT EXISTS (SELECT 1 FROM review_item o WHERE o.account_id = r.account_id
    AND o.reason = r.reason AND o.state = 'open')
ORDER BY r.review_id FOR NO KEY UPDATE
""")
_ALONE: dict[str, Any] = {"more": [], "evidence": None, "score": None}


async def reopen_review(
    db: AsyncConnection, *, review_id: int, actor: str, now: datetime, note: str | None
) -> ReviewItem:
    """Open a review whose decision was taken back, or dismiss it where there is nothing to ask.

    Reviews that the decision had settled are open again too, where they still ask something.
    """
    facts = {"review_id": review_id, "now": now, "actor": actor}
    later = (await db.execute(_JOIN, facts)).first()
    joined = _ALONE
    if later is not None:
        joined = {
            "more": list(later.candidates),
            "evidence": later.evidence,
            "score": later.score,
        }
    await db.execute(_OPEN, {"review_id": review_id, "now": now, **joined})
    settled = await db.execute(_SETTLED, facts)
    await step(db, review_id=review_id, done="undone", actor=actor, now=now, note=note)
    if settled.rowcount:
        why = "settled elsewhere"
        await step(db, review_id=review_id, done="dismissed", actor=actor, now=now, note=why)
    for other_id in (await db.scalars(_OTHERS, {"review_id": review_id})).all():
        await db.execute(_OPEN, {**_ALONE, "review_id": other_id, "now": now})
        why = f"review {review_id} was undone"
        await step(db, review_id=other_id, done="undone", actor=actor, now=now, note=why)
    return await read_review(db, review_id=review_id)
