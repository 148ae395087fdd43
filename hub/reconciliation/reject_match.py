"""Reject a match: a person says that rows do not belong together."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.points.checks import named
from hub.reconciliation.breaks import reasoned
from hub.reconciliation.matches import Match, lock_match, match_by_id

# It stays, so that the same is not suggested again; an automatic match has no fingerprint yet.
_REJECT = """
UPDATE reconciliation_match m SET state = 'rejected', decided_by = :actor, decided_at = :now,
  note = :reason, fingerprint = md5((SELECT string_agg(row_id::text, ':' ORDER BY row_id)
    FROM reconciliation_match_row r WHERE r.match_id = m.match_id))::uuid
WHERE match_id = :id"""


async def reject_match(
    db: AsyncConnection, *, match_id: int, reason: str, actor: str, now: datetime
) -> Match:
    """End a suggestion, or undo a match: its rows are free, and no rule joins them again.

    Rejecting twice is rejecting once. What was undone becomes a break with the next run. Raises
    NotFound, Malformed, and Rejected for what was undone already.
    """
    named(actor)
    reasoned(reason)
    found = await lock_match(db, match_id)
    if found.state == "rejected":
        return found
    if found.state == "undone":
        raise Rejected(f"match {match_id} is undone already: run again", match_id=match_id)
    await db.execute(text(_REJECT), {"id": match_id, "actor": actor, "now": now, "reason": reason})
    await db.execute(
        text("UPDATE reconciliation_match_row SET live = false WHERE match_id = :id"),
        {"id": match_id},
    )
    await db.execute(
        text("""
          INSERT INTO reconciliation_apart (partner_row_id, hub_row_id, leg)
          SELECT p, h, :leg FROM unnest(CAST(:partners AS bigint[])) AS p,
            unnest(CAST(:hubs AS bigint[])) AS h
          ON CONFLICT DO NOTHING"""),
        {"partners": list(found.partner_rows), "hubs": list(found.hub_rows), "leg": found.leg},
    )
    return await match_by_id(db, match_id)
