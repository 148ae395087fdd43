"""Confirm a match: a person says that what was suggested belongs together."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.points.checks import named
from hub.reconciliation.agreeing import refuse_difference
from hub.reconciliation.matches import Match, lock_match, match_by_id
from hub.reconciliation.note_paid import note_paid
from hub.reconciliation.settle_breaks import settle_breaks


async def confirm_match(db: AsyncConnection, *, match_id: int, actor: str, now: datetime) -> Match:
    """Consume the rows of a suggestion; its breaks are resolved by that. Twice is once.

    Raises NotFound, Malformed for a name that is none, and Rejected when the suggestion does not
    stand any more, a row of it is matched otherwise, or the sums differ beyond tolerance.
    """
    named(actor)
    found = await lock_match(db, match_id)
    if found.state == "confirmed":
        return found
    if found.state != "suggested":
        raise Rejected(f"suggestion {match_id} is {found.state}: run again", match_id=match_id)
    await refuse_difference(
        db, book_id=found.book_id, partner_rows=found.partner_rows, hub_rows=found.hub_rows
    )
    try:
        async with db.begin_nested():
            await db.execute(
                text("UPDATE reconciliation_match_row SET live = true WHERE match_id = :id"),
                {"id": match_id},
            )
    except IntegrityError as taken:
        raise Rejected(
            f"a row of suggestion {match_id} is matched otherwise: run again", match_id=match_id
        ) from taken
    await db.execute(
        text("""
          UPDATE reconciliation_match SET state = 'confirmed', decided_by = :actor,
            decided_at = :now WHERE match_id = :id"""),
        {"id": match_id, "actor": actor, "now": now},
    )
    await settle_breaks(db, book_id=found.book_id, now=now, actor=actor)
    await note_paid(db, book_id=found.book_id, actor=actor, now=now)
    return await match_by_id(db, match_id)
