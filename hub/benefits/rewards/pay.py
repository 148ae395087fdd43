"""Pay: the money of an order has come in, and its points are spent."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.rewards.codes import OrderState
from hub.benefits.rewards.digital import hand_out
from hub.benefits.rewards.step import Standing, lock_order, must_be, step
from hub.crypto.keyring import Keyring
from hub.errors import Conflict, Malformed, NotFound, Rejected
from hub.ledger.codes import Outcome
from hub.points.capture import capture
from hub.points.checks import named

LONGEST_REFERENCE = 200


async def pay(
    db: AsyncConnection,
    *,
    order_id: int,
    payment_reference: str,
    actor: str,
    business_date: date,
    today: date,
    now: datetime,
    keyring: Keyring,
) -> Standing:
    """Note that an order's money was taken, by the till's or shop's own reference of the payment.

    A voucher or a benefit is the member's at once. The same payment again changes nothing. Raises
    NotFound, Rejected (`state`) for an order that does not wait for money, or no more, or that
    brings what is not to be had any more, Conflict for a payment that paid for another order.
    """
    named(actor)
    if not 1 <= len(payment_reference) <= LONGEST_REFERENCE or not payment_reference.isprintable():
        raise Malformed(
            f"a payment's reference has 1 to {LONGEST_REFERENCE} printable characters",
            field="payment_reference",
        )
    found = await lock_order(db, order_id=order_id)
    if found.payment_reference == payment_reference:
        return found
    must_be(found, (OrderState.AWAITING_PAYMENT,), "paid")
    if found.hold_id is None:
        raise RuntimeError("an order that waits for money holds no points")
    taken = await capture(
        db,
        business_id=found.business_id,
        member_id=found.member_id,
        hold_id=found.hold_id,
        idempotency_key=f"reward:{order_id}:paid",
        occurred_at=now,
        business_date=business_date,
        now=now,
    )
    if taken.outcome is not Outcome.POSTED:
        raise Rejected(
            "the order waited for its money in vain: its points are free again, order anew",
            state=OrderState.LAPSED.value,
        )
    try:
        async with db.begin_nested():
            await db.execute(
                text("""
                  UPDATE reward_order SET payment_reference = :reference, tx_id = :tx_id
                  WHERE order_id = :order_id"""),
                {"reference": payment_reference, "tx_id": taken.tx_id, "order_id": order_id},
            )
    except IntegrityError:
        raise Conflict(
            "this payment has paid for another order", field="payment_reference"
        ) from None
    await step(db, order_id=order_id, state=OrderState.CONFIRMED, actor=actor, now=now)
    try:
        handed = await hand_out(
            db, order_id=order_id, member_id=found.member_id, actor=actor, today=today, now=now,
            keyring=keyring,
        )  # fmt: skip
    except (NotFound, Rejected) as why:
        raise Rejected(
            f"{why.message}; cancel the order, and give the money back", state=found.state.value
        ) from why
    if handed:
        await step(db, order_id=order_id, state=OrderState.FULFILLED, actor=actor, now=now)
    return await lock_order(db, order_id=order_id)
