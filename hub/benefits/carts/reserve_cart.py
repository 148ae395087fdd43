"""Reserve a cart: what it is quoted with is set aside for a time, all of it or nothing."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import TTL_SECONDS, CartAsked, Counter, checked_key, checked_ttl
from hub.benefits.carts.baskets import Basket, find_basket, keep_basket, keep_parts
from hub.benefits.carts.quote_cart import weigh
from hub.benefits.carts.setting_aside import NotTaken, set_aside
from hub.benefits.carts.views import CartAnswer, CartRefusal


async def reserve_cart(
    db: AsyncConnection,
    *,
    counter: Counter,
    member_id: int | None,
    asked: CartAsked,
    key: str,
    ttl_seconds: int = TTL_SECONDS,
    payable_minor: int | None = None,
) -> CartAnswer:
    """Quote a cart and set what it uses aside for `ttl_seconds`; `key` names the basket for good.

    `payable_minor` is what the guest was told: where the cart comes to something else by now,
    nothing is set aside (price_changed). Declines are answers, kept under the key. Raises Conflict,
    naming the field, when the key was used for another cart, Malformed for what no till means.
    """
    checked_key(key)
    checked_ttl(ttl_seconds)
    asked.checked(counter.business)
    digests = asked.digests(member=member_id, ttl_seconds=ttl_seconds, payable_minor=payable_minor)
    before = await find_basket(db, counter=counter, key=key)
    if before is not None:
        return _again(before, digests, counter, member_id)
    weighed = await weigh(db, counter=counter, member_id=member_id, asked=asked)
    no, taken = weighed.refusal, None
    if weighed.view is not None and payable_minor not in (None, weighed.view.payable_minor):
        no = CartRefusal(
            source="cart",
            reason="price_changed",
            message=f"{weighed.view.payable_minor} is to be paid by now, not {payable_minor}",
        )
    if no is None and weighed.view is not None:
        try:
            async with db.begin_nested():
                taken = await set_aside(
                    db,
                    counter=counter,
                    member_id=member_id,
                    asked=asked,
                    weighed=weighed,
                    quote=weighed.view,
                    key=key,
                    ttl_seconds=ttl_seconds,
                )
        except NotTaken as lost:
            no = lost.refusal
    quote = weighed.view
    if no is not None or quote is None or taken is None:
        return await _decline(db, counter, key, (member_id, digests), no)
    expires_at = counter.now + timedelta(seconds=ttl_seconds)
    basket_id = await keep_basket(
        db,
        counter=counter,
        key=key,
        member_id=member_id,
        asked=digests,
        state="reserved",
        answer=quote,
        taken=taken,
        expires_at=expires_at,
    )
    await keep_parts(db, basket_id=basket_id, cart=asked, quote=quote, taken=taken)
    return CartAnswer(state="reserved", quote=quote, expires_at=expires_at, member_id=member_id)


async def _decline(
    db: AsyncConnection,
    counter: Counter,
    key: str,
    asked: tuple[int | None, dict[str, str]],
    no: CartRefusal | None,
) -> CartAnswer:
    """Keep why nothing is set aside for this member's request."""
    member_id, digests = asked
    await keep_basket(
        db,
        counter=counter,
        key=key,
        member_id=member_id,
        asked=digests,
        state="declined",
        answer=no,
    )
    return CartAnswer(state="declined", refusal=no, member_id=member_id)


def _again(
    before: Basket, digests: dict[str, str], counter: Counter, member_id: int | None
) -> CartAnswer:
    """Answer a key that was used before: whoever the member was merged into is the same one."""
    merged = before.member_id == member_id
    before.same({name: one for name, one in digests.items() if not (merged and name == "member")})
    return before.told(refusal=over(before, counter))


def over(basket: Basket, counter: Counter) -> CartRefusal | None:
    """Return why a basket is no longer set aside, if its time is over."""
    if basket.state == "reserved" and basket.expires_at is not None:
        if basket.expires_at <= counter.now:
            return CartRefusal(
                source="cart", reason="lapsed", message="its time is over: reserve it anew"
            )
    elif basket.state == "released":
        return CartRefusal(source="cart", reason="released", message="it was given up")
    return None
