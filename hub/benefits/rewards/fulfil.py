"""Fulfil: a reward is handed out or sent."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.rewards.codes import OrderState
from hub.benefits.rewards.step import Standing, lock_order, must_be, step
from hub.errors import Malformed
from hub.points.checks import named

LONGEST_NOTE = 500


async def fulfil(
    db: AsyncConnection,
    *,
    order_id: int,
    actor: str,
    now: datetime,
    delivery_note: str | None = None,
) -> Standing:
    """Note that the member has it, or that it is on the way (`delivery_note`: a tracking number).

    Again it changes nothing but the note. Raises NotFound, Malformed for a note that is no line of
    text, Rejected (`state`) for an order that is not confirmed.
    """
    named(actor)
    if delivery_note is not None and not (
        1 <= len(delivery_note) <= LONGEST_NOTE and delivery_note.isprintable()
    ):
        raise Malformed(
            f"a note has 1 to {LONGEST_NOTE} printable characters", field="delivery_note"
        )
    found = await lock_order(db, order_id=order_id)
    must_be(found, (OrderState.CONFIRMED, OrderState.FULFILLED), "handed out")
    if delivery_note is not None and delivery_note != found.delivery_note:
        await db.execute(
            text("UPDATE reward_order SET delivery_note = :note WHERE order_id = :order_id"),
            {"note": delivery_note, "order_id": order_id},
        )
    if found.state is OrderState.CONFIRMED:
        await step(db, order_id=order_id, state=OrderState.FULFILLED, actor=actor, now=now)
    return await lock_order(db, order_id=order_id)
