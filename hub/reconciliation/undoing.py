"""What a correction undoes: the matches of the rows that it replaced."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def undo_superseded(db: AsyncConnection, *, row_ids: Sequence[int], now: datetime) -> None:
    """Undo the matches and suggestions that these rows are in; the other side's rows are free."""
    if not row_ids:
        return
    await db.execute(
        text("""
          WITH gone AS MATERIALIZED (
            SELECT DISTINCT match_id FROM reconciliation_match_row
            WHERE row_id = ANY (CAST(:ids AS bigint[]))
          ), freed AS (
            UPDATE reconciliation_match_row r SET live = false FROM gone
            WHERE r.match_id = gone.match_id AND live
          )
          UPDATE reconciliation_match m SET state = 'undone', decided_at = :now,
            note = 'a row was corrected'
          FROM gone WHERE m.match_id = gone.match_id AND m.state IN ('suggested', 'confirmed')"""),
        {"ids": list(row_ids), "now": now},
    )
