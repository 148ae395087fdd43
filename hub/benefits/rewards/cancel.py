"""Cancel: an order is given up, or what it brought comes back; points and piece return."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.rewards.codes import OrderState
from hub.benefits.rewards.step import Standing, lock_order, must_be, step
from hub.benefits.rewards.stock import return_piece
from hub.ledger.codes import Outcome
from hub.ledger.post import lock_balances
from hub.ledger.queries import restored
from hub.points.checks import named
from hub.points.restore import restore
from hub.points.void import void

_FROM = {
    OrderState.CANCELLED: (OrderState.AWAITING_PAYMENT, OrderState.CONFIRMED),
    OrderState.LAPSED: (OrderState.AWAITING_PAYMENT,),
    OrderState.RETURNED: (OrderState.FULFILLED,),
}
_DOING = {
    OrderState.CANCELLED: "cancelled",
    OrderState.LAPSED: "given up",
    OrderState.RETURNED: "returned",
}


async def cancel(
    db: AsyncConnection,
    *,
    order_id: int,
    actor: str,
    business_date: date,
    today: date,
    now: datetime,
    grace_days: int,
    to: OrderState = OrderState.CANCELLED,
    restock: bool = True,
) -> Standing:
    """End an order: its points are back in the lots they came from, its piece on the shelf.

    `to` is CANCELLED before it was handed out, RETURNED after that, LAPSED when its money never
    came. Ending it again changes nothing. A lot that has expired meanwhile lives for `grace_days`
    more; `restock`: whether what came back can be handed out again. Money that was paid is given
    back by who took it. Raises NotFound, Rejected (`state`) for an order that stands otherwise.
    """
    named(actor)
    found = await lock_order(db, order_id=order_id)
    if found.state is to:
        return found
    must_be(found, _FROM[to], _DOING[to])
    if found.tx_id is not None:
        await _give_back(
            db, found, business_date=business_date, today=today, now=now, grace_days=grace_days
        )
    elif found.hold_id is not None:
        # One that has lapsed by itself is closed: then the points are free already.
        await void(
            db,
            business_id=found.business_id,
            member_id=found.member_id,
            hold_id=found.hold_id,
            idempotency_key=f"reward:{order_id}:back",
            occurred_at=now,
            business_date=business_date,
            now=now,
        )
    if restock:
        await return_piece(db, order_id=order_id, actor=actor, now=now)
    await step(db, order_id=order_id, state=to, actor=actor, now=now)
    return await lock_order(db, order_id=order_id)


async def _give_back(
    db: AsyncConnection,
    found: Standing,
    *,
    business_date: date,
    today: date,
    now: datetime,
    grace_days: int,
) -> None:
    """Give back what of the order's points a till has not restored by hand already."""
    if found.tx_id is None:
        raise RuntimeError("an order that spent no points gives none back")
    await lock_balances(db, member_ids=[found.member_id])
    points = found.points - await restored(db, member_id=found.member_id, redemption_tx=found.tx_id)
    if points <= 0:
        return
    back = await restore(
        db,
        business_id=found.business_id,
        member_id=found.member_id,
        redemption_tx=found.tx_id,
        points=points,
        idempotency_key=f"reward:{found.order_id}:back",
        occurred_at=now,
        business_date=business_date,
        today=today,
        now=now,
        grace_days=grace_days,
    )
    if back.outcome is not Outcome.POSTED:
        raise RuntimeError(f"points of order {found.order_id} did not come back: {back.outcome}")
