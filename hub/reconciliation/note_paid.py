"""Note paid: payments that a bank's statement shows are paid."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.reconciliation.codes import Role
from hub.reconciliation.runs import Run
from hub.settlement.mark_paid import mark_paid

_SEEN = """
SELECT h.names, min(CASE WHEN p.reference = '#' || p.digest THEN p.names ELSE p.reference END)
    AS reference
FROM reconciliation_match_row mh
JOIN reconciliation_hub_row h ON h.row_id = mh.row_id AND h.source = 0
JOIN payment y ON y.payment_id = h.tx_id AND y.state = 'released'
JOIN reconciliation_match_row mp ON mp.match_id = mh.match_id AND mp.row_id <> mh.row_id
JOIN reconciliation_partner_row p ON p.row_id = mp.row_id
WHERE mh.live AND p.book_id = CAST(:book_id AS smallint)
GROUP BY h.names ORDER BY h.names"""


async def note_paid(db: AsyncConnection, *, run: Run, now: datetime) -> int:
    """Mark the released payments that the run's book shows as paid; returns how many."""
    if run.role is not Role.BANK:
        return 0
    seen = (await db.execute(text(_SEEN), {"book_id": run.book_id})).all()
    for row in seen:
        await mark_paid(
            db,
            end_to_end_id=row.names,
            reference=row.reference or row.names,
            actor=run.asked_by,
            now=now,
        )
    return len(seen)
