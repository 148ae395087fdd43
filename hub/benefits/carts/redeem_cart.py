"""Redeem a cart: what was set aside for it is used, all of it or nothing."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import CartAsked, Counter, checked_key
from hub.benefits.carts.baskets import (
    Basket,
    find_basket,
    keep_offer_parts,
    move_basket,
    offer_parts,
)
from hub.benefits.carts.reserve_cart import over, reserve_cart
from hub.benefits.carts.setting_aside import NotTaken, part_key
from hub.benefits.carts.views import CartAnswer, CartRefusal
from hub.benefits.entitlements.requests import DONE
from hub.benefits.entitlements.use_held import use_held
from hub.benefits.vouchers.redeem import redeem_reserved
from hub.benefits.vouchers.worth import Verdict
from hub.errors import Rejected
from hub.ledger.codes import Outcome
from hub.points.capture import capture

_AT_ONCE_SECONDS = 60


async def redeem_cart(
    db: AsyncConnection,
    *,
    counter: Counter,
    key: str,
    member_id: int | None = None,
    asked: CartAsked | None = None,
    payable_minor: int | None = None,
) -> CartAnswer:
    """Use what was reserved under `key`; with `asked`, reserve that cart and use it at once.

    To redeem twice is to redeem once. Lapsed, released and declined baskets are answers, and so is
    what cannot be used after all (its voucher was voided): nothing is used then, and the basket
    stays. Raises Rejected (code `unknown_basket`) where nothing was reserved and no cart is given;
    Conflict and Malformed as `reserve_cart` does.
    """
    checked_key(key)
    if asked is not None:
        reserved = await reserve_cart(
            db,
            counter=counter,
            member_id=member_id,
            asked=asked,
            key=key,
            ttl_seconds=_AT_ONCE_SECONDS,
            payable_minor=payable_minor,
        )
        if reserved.state != "reserved":
            return reserved
    basket = await find_basket(db, counter=counter, key=key)
    if basket is None:
        raise Rejected("nothing was reserved under this key", field="key")
    if basket.state != "reserved":
        return basket.told(refusal=over(basket, counter))
    late = over(basket, counter)
    if late is not None:
        return basket.told(replayed=False, refusal=late)
    try:
        async with db.begin_nested():
            redeem_tx = await _use(db, counter, basket)
            await move_basket(
                db,
                basket_id=basket.basket_id,
                state="redeemed",
                now=counter.now,
                redeem_tx=redeem_tx,
            )
    except NotTaken as lost:
        return basket.told(replayed=False, refusal=lost.refusal)
    told = basket.told(replayed=False)
    return CartAnswer(
        state="redeemed", quote=told.quote, member_id=basket.member_id, transaction=redeem_tx
    )


async def _use(db: AsyncConnection, counter: Counter, basket: Basket) -> int | None:
    """Use vouchers, points and quotas; returns the ledger's number of the points spent."""
    parts = await offer_parts(db, basket_id=basket.basket_id)
    business_id = counter.business.business_id
    if basket.voucher_request is not None:
        answer = await redeem_reserved(
            db,
            business_id=business_id,
            reservation_id=basket.voucher_request,
            idempotency_key=part_key(basket.key, "cart-used"),
            business_date=counter.business_date,
            now=counter.now,
        )
        if answer.outcome is not Verdict.TAKEN:
            raise _lost("voucher", answer.outcome.value)
        entries = {one.voucher_id: one.entry_id for one in answer.parts}
        for part in parts:
            if part.voucher_id is not None:
                part.taken_id = entries[part.voucher_id]
    redeem_tx = None
    if basket.hold_tx is not None and basket.member_id is not None:
        spent = await capture(
            db,
            business_id=business_id,
            member_id=basket.member_id,
            hold_id=basket.hold_tx,
            idempotency_key=part_key(basket.key, "cart-used"),
            occurred_at=counter.now,
            business_date=counter.business_date,
            now=counter.now,
        )
        if spent.outcome is not Outcome.POSTED or spent.points != basket.points:
            raise _lost("points", spent.outcome.name.lower())
        redeem_tx = spent.tx_id
    for part in parts:
        if part.benefit_code is not None and part.taken_id is not None:
            used = await use_held(
                db,
                business_id=business_id,
                hold_id=part.taken_id,
                idempotency_key=part_key(basket.key, f"cart-used:{part.place}"),
                now=counter.now,
            )
            if used.outcome not in DONE:
                raise _lost("benefit", used.outcome.value, id_=part.benefit_code)
            part.taken_id = used.use_id
    await keep_offer_parts(db, basket_id=basket.basket_id, parts=parts)
    return redeem_tx


def _lost(source: str, reason: str, *, id_: str | None = None) -> NotTaken:
    words = f"what was set aside cannot be used ({reason.replace('_', ' ')}): release the basket"
    return NotTaken(CartRefusal(source=source, reason=reason, message=words, id=id_))
