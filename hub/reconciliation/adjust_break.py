"""Adjust a break: what the book says more is proposed as a correction, for a second person."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.reconciliation.both_sides import rows_of_breaks
from hub.reconciliation.breaks import break_events, change_break, lock_break
from hub.reconciliation.codes import Leg
from hub.settlement.corrections import Correction, correction
from hub.settlement.propose_correction import propose_correction
from hub.units import exponent

_PROPOSED = "adjustment proposed"


async def adjust_break(
    db: AsyncConnection, *, break_id: int, reason: str, actor: str, now: datetime
) -> Correction:
    """Propose that the difference of an open break is owed as the business's book says.

    Approved, it is a line of the next close, and the break can be resolved as adjusted. Twice is
    once. Raises NotFound, Malformed, and Rejected when the break is closed, is of a bank's
    statement, or says no one amount between two businesses.
    """
    broken = await lock_break(db, break_id)
    if broken.closed_at is not None:
        raise Rejected(f"break {break_id} is {broken.state}: reopen it first", break_id=break_id)
    before = broken.correction_id and await correction(db, broken.correction_id)
    if before and before.state != "rejected":
        return before
    rows = (await rows_of_breaks(db, break_ids=[break_id]))[break_id]
    others = {row.counterparty_id for row in rows} - {None}
    if (
        broken.leg not in (Leg.CREDITOR, Leg.DEBTOR)
        or broken.kind in ("ambiguous", "currency", "date")
        or not broken.amount_minor
        or broken.currency is None
        or len(others) != 1
    ):
        raise Rejected(
            f"break {break_id} ({broken.kind}) says no one amount that one business owes another: "
            "match it, or have it written off",
            break_id=break_id,
        )
    (other,) = others
    own, counterparty = broken.business_id, other or 0
    creditor = broken.leg == Leg.CREDITOR
    made = await propose_correction(
        db,
        debtor_id=counterparty if creditor else own,
        creditor_id=own if creditor else counterparty,
        currency=broken.currency,
        amount=Decimal(broken.amount_minor).scaleb(-exponent(broken.currency)),
        points=broken.points or 0,
        reason=reason,
        actor=actor,
        idempotency_key=f"break:{break_id}:{await _proposals(db, break_id)}",
        now=now,
    )
    await change_break(
        db,
        broken,
        event=_PROPOSED,
        actor=actor,
        note=f"correction {made.correction_id}",
        now=now,
        correction_id=made.correction_id,
    )
    return made


async def _proposals(db: AsyncConnection, break_id: int) -> int:
    """Count what was proposed before: reopened, or rejected, a break is adjusted anew."""
    events = (await break_events(db, break_ids=[break_id]))[break_id]
    return sum(event.event == _PROPOSED for event in events)
