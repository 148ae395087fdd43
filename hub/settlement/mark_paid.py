"""Mark paid: a bank's statement, or a person, says that a payment was made."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Malformed, Rejected
from hub.points.checks import named
from hub.settlement.life import lock_period, move_on
from hub.settlement.payments import Payment, payment, payments

LONGEST_REFERENCE = 140


async def mark_paid(
    db: AsyncConnection, *, end_to_end_id: str, reference: str, actor: str, now: datetime
) -> Payment:
    """Mark a released payment as paid; `reference` is the bank's own. Said again, nothing changes.

    The last payment of a period makes the period paid. Raises NotFound, Conflict when it is paid
    under another reference, Rejected when it was never released, Malformed for a name or a
    reference that is none.
    """
    named(actor)
    if not 1 <= len(reference) <= LONGEST_REFERENCE or not reference.isprintable():
        raise Malformed(
            f"the bank's reference has 1 to {LONGEST_REFERENCE} characters", field="reference"
        )
    period_id = (await payment(db, end_to_end_id)).period_id
    period = await lock_period(db, period_id)
    found = await payment(db, end_to_end_id)
    if found.state == "paid":
        if found.paid_reference != reference:
            raise Conflict(
                f"payment {end_to_end_id} is paid under reference {found.paid_reference}",
                field="reference",
            )
        return found
    if found.state != "released":
        raise Rejected(
            f"payment {end_to_end_id} was not released: it cannot have been paid by our order",
            payment=end_to_end_id,
        )
    await db.execute(
        text("""
          UPDATE payment SET state = 'paid', paid_at = :now, paid_reference = :reference,
            paid_by = :actor WHERE payment_id = :id"""),
        {"id": found.payment_id, "reference": reference, "actor": actor, "now": now},
    )
    of_period = (await payments(db, period_ids=[period_id]))[period_id]
    if all(one.state == "paid" for one in of_period):
        note = f"the last of {len(of_period)} payments"
        await move_on(db, period=period, state="paid", actor=actor, note=note, now=now)
    return await payment(db, end_to_end_id)
