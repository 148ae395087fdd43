"""Mark paid: a bank's statement, or a person, says that a payment was made."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Rejected
from hub.settlement.payments import Payment, payment


async def mark_paid(
    db: AsyncConnection,
    *,
    end_to_end_id: str,
    reference: str,
    paid_by: str,
    paid_at: datetime,
) -> Payment:
    """Mark a released payment as paid; `reference` is the bank's own. Said again, nothing changes.

    Raises NotFound, Conflict when it is paid under another reference, Rejected when it was never
    released.
    """
    found = await payment(db, end_to_end_id, lock=True)
    if found.state == "paid":
        if found.paid_reference != reference:
            raise Conflict(
                f"payment {end_to_end_id} is paid under reference {found.paid_reference}",
                field="reference",
            )
        return found
    if found.state != "released":
        raise Rejected(
            f"payment {end_to_end_id} was not released: it cannot have been paid by this file",
            payment=end_to_end_id,
        )
    await db.execute(
        text("""
          UPDATE payment SET state = 'paid', paid_at = :paid_at, paid_reference = :reference,
            paid_by = :paid_by WHERE payment_id = :id"""),
        {
            "id": found.payment_id,
            "reference": reference,
            "paid_by": paid_by,
            "paid_at": paid_at,
        },
    )
    return await payment(db, end_to_end_id)
