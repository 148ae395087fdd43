"""Match a break by hand: a person says that its rows belong together as they are."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.points.checks import named
from hub.reconciliation.agreeing import refuse_difference
from hub.reconciliation.both_sides import rows_of_breaks
from hub.reconciliation.breaks import lock_break, reasoned
from hub.reconciliation.codes import Rule
from hub.reconciliation.matches import Match, match_by_id
from hub.reconciliation.note_paid import note_paid
from hub.reconciliation.settle_breaks import settle_breaks

_MAKE = """
WITH made AS (
  INSERT INTO reconciliation_match (match_id, leg, rule, state, made_at, decided_at, decided_by,
    note)
  VALUES (nextval('reconciliation_match_id'), :leg, :rule, 'confirmed', :now, :now, :actor, :reason)
  RETURNING match_id
), members AS (
  INSERT INTO reconciliation_match_row (match_id, row_id, leg, live)
  SELECT match_id, row_id, :leg, true FROM made, unnest(CAST(:rows AS bigint[])) AS row_id
)
SELECT match_id FROM made"""


async def match_break(
    db: AsyncConnection, *, break_id: int, reason: str, actor: str, now: datetime
) -> Match:
    """Consume all rows of an open break: their days may lie apart, their sums may not.

    Raises NotFound, Malformed, and Rejected when the break is closed, has rows of one side only or
    several to choose from, or when the sums differ.
    """
    named(actor)
    reasoned(reason)
    broken = await lock_break(db, break_id)
    if broken.closed_at is not None:
        raise Rejected(f"break {break_id} is {broken.state}", break_id=break_id)
    rows = (await rows_of_breaks(db, break_ids=[break_id]))[break_id]
    partners = [row.row_id for row in rows if not row.of_hub]
    hubs = [row.row_id for row in rows if row.of_hub]
    if broken.kind == "ambiguous" or not partners or not hubs:
        raise Rejected(
            f"break {break_id} is {broken.kind}: confirm one of its suggestions, or wait for the "
            "other side's row",
            break_id=break_id,
        )
    await refuse_difference(db, book_id=broken.book_id, partner_rows=partners, hub_rows=hubs)
    try:
        async with db.begin_nested():
            match_id = await db.scalar(
                text(_MAKE),
                {
                    "leg": broken.leg,
                    "rule": int(Rule.BY_HAND),
                    "now": now,
                    "actor": actor,
                    "reason": reason,
                    "rows": partners + hubs,
                },
            )
    except IntegrityError as taken:
        raise Rejected(
            f"a row of break {break_id} is matched otherwise: run again", break_id=break_id
        ) from taken
    await settle_breaks(db, book_id=broken.book_id, now=now, actor=actor)
    await note_paid(db, book_id=broken.book_id, actor=actor, now=now)
    return await match_by_id(db, match_id or 0)
