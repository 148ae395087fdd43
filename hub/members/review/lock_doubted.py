"""Lock the doubted: nobody changes whom a review asks about while it is decided on."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Unavailable
from hub.members.family import lock_families
from hub.members.review.items import ReviewItem, read_review

# With a review that opens again may go the one that met its doubt anew, which it joins, and those
# that its decision had settled.
_DOUBTED = text("""
WITH asked AS (
  SELECT account_id, candidates FROM review_item WHERE review_id = :review_id
  UNION ALL
  SELECT o.account_id, o.candidates
  FROM review_item r JOIN review_item o ON o.account_id = r.account_id AND o.reason = r.reason
  WHERE :reopening AND r.review_id = :review_id AND o.state = 'open'
  UNION ALL
  SELECT account_id, candidates FROM review_item
  WHERE :reopening AND state = 'dismissed' AND decision = 'settled'
    AND review_id IN (SELECT s.review_id FROM review_step s WHERE s.settled_by = :review_id)
), named AS (
  SELECT account_holder(account_id) AS member_id FROM asked
  UNION SELECT unnest(candidates) FROM asked
  UNION SELECT unnest(CAST(:births AS bigint[]))
)
SELECT DISTINCT coalesce(m.merged_into, m.member_id) FROM named JOIN member m USING (member_id)
ORDER BY 1
""")


async def lock_doubted(
    db: AsyncConnection, *, review_id: int, reopening: bool = False, births: Sequence[int] = ()
) -> ReviewItem:
    """Lock the account's member and the candidates, and return the review as it then is.

    For whoever holds the lock of its decision. A merge that is under way does not see that a review
    is opened, and who opens it does not see the merge: without this neither would settle it.
    `reopening`: those whom undoing asks about again, too. `births` are others that are to be locked
    at the same time, in the order that all take.

    Raises NotFound, and Unavailable when one of them changes at this moment: ask again.
    """
    facts = {"review_id": review_id, "reopening": reopening, "births": list(births)}
    before = (await db.scalars(_DOUBTED, facts)).all()
    await lock_families(db, member_ids=before)
    item = await read_review(db, review_id=review_id)
    if (await db.scalars(_DOUBTED, facts)).all() != before:
        raise Unavailable("whom the review asks about changed at this moment: ask again")
    return item
