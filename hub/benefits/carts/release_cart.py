"""Release a cart: what was set aside for it is free again."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import Counter, checked_key
from hub.benefits.carts.baskets import find_basket, keep_basket, move_basket, offer_parts
from hub.benefits.carts.setting_aside import part_key
from hub.benefits.carts.views import CartAnswer, CartRefusal
from hub.benefits.entitlements.release import release
from hub.benefits.vouchers.release import release_vouchers
from hub.points.void import void


async def release_cart(db: AsyncConnection, *, counter: Counter, key: str) -> CartAnswer:
    """Give up what was reserved under `key`; to release twice is to release once.

    A key that is not known yet is given up as well: a reservation that comes late finds it
    released. What was redeemed is refunded, not released (an answer). Raises Malformed.
    """
    checked_key(key)
    basket = await find_basket(db, counter=counter, key=key)
    if basket is None:
        await keep_basket(db, counter=counter, key=key, member_id=None, asked={}, state="released")
        return CartAnswer(state="released")
    if basket.state == "redeemed":
        no = CartRefusal(source="cart", reason="redeemed", message="it was used: refund it")
        return basket.told(replayed=False, refusal=no)
    if basket.state != "reserved":
        return basket.told()
    # What has lapsed meanwhile is free already: that it cannot be released is no matter.
    if basket.voucher_request is not None:
        await release_vouchers(
            db,
            business_id=counter.business.business_id,
            reservation_id=basket.voucher_request,
            idempotency_key=part_key(basket.key, "cart-freed"),
            business_date=counter.business_date,
            now=counter.now,
        )
    if basket.hold_tx is not None and basket.member_id is not None:
        await void(
            db,
            business_id=counter.business.business_id,
            member_id=basket.member_id,
            hold_id=basket.hold_tx,
            idempotency_key=part_key(basket.key, "cart-freed"),
            occurred_at=counter.now,
            business_date=counter.business_date,
            now=counter.now,
        )
    for part in await offer_parts(db, basket_id=basket.basket_id):
        if part.benefit_code is not None and part.taken_id is not None:
            await release(
                db,
                business_id=counter.business.business_id,
                hold_id=part.taken_id,
                idempotency_key=part_key(basket.key, f"cart-freed:{part.place}"),
                now=counter.now,
            )
    await move_basket(db, basket_id=basket.basket_id, state="released", now=counter.now)
    return CartAnswer(state="released", member_id=basket.member_id)
