"""Settle breaks: those whose rows were matched, or corrected, are over by themselves."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

BY_RULE = "hub"
"""Who acts where no person did."""

RESOLVE = """
WITH over AS (
  UPDATE reconciliation_break b SET state = 'resolved', resolution = '{resolution}',
    closed_at = CAST(:now AS timestamptz), write_off_by = NULL, write_off_reason = NULL
  WHERE b.book_id = CAST(:book_id AS smallint) AND b.closed_at IS NULL AND {which}
  RETURNING b.break_id
)
INSERT INTO reconciliation_break_event (break_id, at, actor, event, note)
SELECT break_id, CAST(:now AS timestamptz), :actor, 'resolved', '{resolution}' FROM over"""
_MATCHED = RESOLVE.replace(
    "{which}",
    """EXISTS (SELECT FROM reconciliation_match_row r
      WHERE r.row_id = b.anchor_row_id AND r.leg = b.leg AND r.live)""",
).replace("{resolution}", "matched")
_CORRECTED = RESOLVE.replace(
    "{which}",
    """EXISTS (SELECT FROM reconciliation_partner_row p
      WHERE p.row_id = b.anchor_row_id AND p.superseded_by IS NOT NULL)""",
).replace("{resolution}", "superseded")


async def settle_breaks(
    db: AsyncConnection, *, book_id: int, now: datetime, actor: str = BY_RULE
) -> None:
    """Resolve the open breaks of a book whose anchor is consumed or superseded now."""
    facts = {"book_id": book_id, "now": now, "actor": actor}
    for statement in (_MATCHED, _CORRECTED):
        await db.execute(text(statement), facts)
