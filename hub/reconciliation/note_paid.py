"""Note paid: payments that a bank's statement shows are paid.

Where the statement names the payment in full and says just its amount, that is so by itself; where
it is cut short, comes short by charges, or is one sum for several, once a person has said so.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict
from hub.settlement.mark_paid import mark_paid

_SEEN = """
SELECT h.names, min(CASE WHEN p.reference = '#' || p.digest THEN h.names ELSE p.reference END)
    AS reference
FROM reconciliation_match_row mh
JOIN reconciliation_match m USING (match_id)
JOIN reconciliation_hub_row h ON h.row_id = mh.row_id AND h.source = 0
JOIN payment y ON y.payment_id = h.tx_id AND y.state = 'released'
JOIN reconciliation_match_row mp ON mp.match_id = mh.match_id AND mp.row_id <> mh.row_id
JOIN reconciliation_partner_row p ON p.row_id = mp.row_id
WHERE mh.live AND p.book_id = CAST(:book_id AS smallint)
GROUP BY h.names, h.amount_minor, m.match_id, m.decided_by
HAVING m.decided_by IS NOT NULL
  OR bool_and(p.names = h.names) AND sum(p.amount_minor) = h.amount_minor
ORDER BY h.names"""


async def note_paid(db: AsyncConnection, *, book_id: int, actor: str, now: datetime) -> int:
    """Mark the released payments that a book's matches show as paid; returns how many."""
    seen = (await db.execute(text(_SEEN), {"book_id": book_id})).all()
    for row in seen:
        try:
            await mark_paid(
                db, end_to_end_id=row.names, reference=row.reference, actor=actor, now=now
            )
        except Conflict:
            # The other side's bank said so at this moment, by its own reference.
            continue
    return len(seen)
