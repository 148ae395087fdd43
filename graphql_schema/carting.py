"""Carts at a till: quote, reserve, redeem, release, refund."""

from collections.abc import Callable
from typing import Annotated

import strawberry

from graphql_schema.access import QUOTERS, require, visible_business
from graphql_schema.cart_requests import (
    CartInput,
    RedeemCartInput,
    RefundCartInput,
    ReleaseCartInput,
    ReserveCartInput,
    cart_field,
    refund_field,
)
from graphql_schema.carts import (
    CartDeclined,
    CartQuote,
    CartResult,
    QuoteResult,
    RefundCartResult,
    told,
    told_refund,
)
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import MemberKey, served
from graphql_schema.rejections import (
    REFUSALS,
    IdempotencyConflict,
    InvalidInput,
    MemberUnknown,
    Refused,
    refused,
)
from graphql_schema.till import LONGEST_KEY, checked_key, open_till
from hub.benefits.carts import asked as limits
from hub.benefits.carts import views
from hub.benefits.carts.asked import CartAsked, Counter
from hub.benefits.carts.quote_cart import quote_cart
from hub.benefits.carts.redeem_cart import redeem_cart
from hub.benefits.carts.refund_cart import refund_cart
from hub.benefits.carts.release_cart import release_cart
from hub.benefits.carts.reserve_cart import reserve_cart
from hub.crypto.tokens import Role, Scope
from hub.errors import Conflict, Forbidden, Malformed, Rejected
from hub.programme.queries import Business

_LONGEST_KEY = min(LONGEST_KEY, limits.LONGEST_KEY)

Asked = Annotated[CartInput, strawberry.argument(description="The cart.")]
Member = Annotated[
    MemberKey | None,
    strawberry.argument(
        description="Who pays; unsaid, nobody who is known. A member asks for itself alone."
    ),
]
At = Annotated[
    str | None,
    strawberry.argument(description="At which business; unsaid, the caller's own."),
]


async def _counter(context: Context, business: Business) -> Counter:
    return Counter(
        business=business,
        business_date=context.trading_day(business),
        today=await context.load.today(),
        now=context.now,
        time_zone=(await context.load.programme()).time_zone,
        keyring=context.keyring,
        prefixed_first=True,
    )


async def _at_till(context: Context, *, business: str | None, key: str) -> Counter:
    """Return where the caller's till stands."""
    till = await open_till(context, business=business, idempotency_key=key)
    checked_key(key, longest=_LONGEST_KEY)
    return await _counter(context, till.business)


def _spends(context: Context, asked: CartAsked) -> None:
    """Raise Forbidden for points of a token that is not for spending them."""
    if asked.points:
        require(context.principal, Role.BUSINESS, scope=Scope.POINTS_REDEEM)


def _may_spend(context: Context, answer: views.CartAnswer) -> None:
    """Raise Forbidden where another till's reservation spends points and this token may not."""
    if answer.quote is not None and answer.quote.points:
        require(context.principal, Role.BUSINESS, scope=Scope.POINTS_REDEEM)


def _refused(no: Conflict | Malformed | Forbidden, field: Callable[[str], str]) -> Refused:
    answer = refused(no)
    if isinstance(answer, IdempotencyConflict | InvalidInput):
        answer.field = field(str(no.facts["field"]))
    return answer


@strawberry.type
class CartQuery:
    """Reads of carts."""

    @resolved("What a cart would cost now with the best lawful combination of what the member has "
              "and the cart names. Nothing is kept. A business asks for whom it serves, a member "
              "for itself, staff for anybody, at a business that they name.")  # fmt: skip
    async def quote(
        self, info: Info, cart: Asked, member: Member = None, business: At = None
    ) -> QuoteResult:
        """Quote a cart."""
        context = info.context
        caller = require(context.principal, *QUOTERS, scope=Scope.MEMBERS_READ)
        code = business or caller.business
        if code is None:
            raise Malformed("say at which business", field="business")
        shop = await context.business_by_code(visible_business(caller, asked=code))
        shop.with_a_shop()
        member_id: int | MemberUnknown | None
        if caller.role is Role.MEMBER:
            if member is not None:
                raise Malformed("a member asks for itself: leave it out", field="member")
            member_id = await context.own_member_id()
        else:
            member_id = await served(context, member)
        if isinstance(member_id, MemberUnknown):
            return member_id
        counter = await _counter(context, shop)
        try:
            async with context.reading() as db:
                found = await quote_cart(
                    db,
                    counter=counter,
                    member_id=member_id,
                    asked=cart.asked(currency=shop.currency),
                )
        except Malformed as no:
            raise Malformed(no.message, field=cart_field(str(no.facts["field"]))) from no
        if isinstance(found, views.CartRefusal):
            return CartDeclined.of(found)
        return CartQuote.of(found)


@strawberry.type
class CartMutation:
    """Carts at a till."""

    @resolved("Quote a cart and set aside what it uses, all of it or nothing. What is not redeemed "
              "or released in time is free again.")  # fmt: skip
    async def reserve_cart(
        self,
        info: Info,
        input: Given[ReserveCartInput],  # noqa: A002
    ) -> CartResult:
        """Reserve and commit, or answer why not."""
        context = info.context
        try:
            key = input.idempotency_key
            counter = await _at_till(context, business=input.business, key=key)
            asked = input.cart.asked(currency=counter.business.currency)
            _spends(context, asked)
            member_id = await served(context, input.member)
            if isinstance(member_id, MemberUnknown):
                return member_id
            async with context.writing() as db:
                answer = await reserve_cart(
                    db,
                    counter=counter,
                    member_id=member_id,
                    asked=asked,
                    key=key,
                    ttl_seconds=input.ttl_seconds,
                    payable_minor=input.payable_minor,
                )
        except REFUSALS as no:
            return _refused(no, cart_field)
        return told(answer)

    @resolved("Use what was reserved for a cart; or quote a cart and use it at once.")
    async def redeem_cart(
        self,
        info: Info,
        input: Given[RedeemCartInput],  # noqa: A002
    ) -> CartResult:
        """Redeem and commit, or answer why not."""
        context = info.context
        try:
            key = input.idempotency_key
            counter = await _at_till(context, business=input.business, key=key)
            asked, member_id = None, None
            if input.cart is not None:
                asked = input.cart.asked(currency=counter.business.currency)
                _spends(context, asked)
                member_id = await served(context, input.member)
            elif input.member is not None or input.payable_minor is not None:
                field = "member" if input.member is not None else "payable_minor"
                raise Malformed("that was said as it was reserved: leave it out", field=field)
            if isinstance(member_id, MemberUnknown):
                return member_id
            async with context.writing() as db:
                answer = await redeem_cart(
                    db,
                    counter=counter,
                    key=key,
                    member_id=member_id,
                    asked=asked,
                    payable_minor=input.payable_minor,
                )
                _may_spend(context, answer)
        except REFUSALS as no:
            return _refused(no, cart_field)
        except Rejected as unknown:
            return _no_basket(unknown)
        return told(answer)

    @resolved("Give up a basket: what was set aside for it is free again. A key that is not known "
              "yet is given up as well.")  # fmt: skip
    async def release_cart(
        self,
        info: Info,
        input: Given[ReleaseCartInput],  # noqa: A002
    ) -> CartResult:
        """Release and commit, or answer why not."""
        context = info.context
        try:
            key = input.idempotency_key
            counter = await _at_till(context, business=input.business, key=key)
            async with context.writing() as db:
                answer = await release_cart(db, counter=counter, key=key)
        except REFUSALS as no:
            return _refused(no, cart_field)
        return told(answer)

    @resolved("Refund a basket, all of it or units of its lines: each with its share of what every "
              "voucher, benefit and point paid.")  # fmt: skip
    async def refund_cart(
        self,
        info: Info,
        input: Given[RefundCartInput],  # noqa: A002
    ) -> RefundCartResult:
        """Refund and commit, or answer why not."""
        context = info.context
        try:
            refund_key = input.idempotency_key
            counter = await _at_till(context, business=input.business, key=refund_key)
            if not 1 <= len(input.basket) <= _LONGEST_KEY:
                raise Malformed(f"a key has 1 to {_LONGEST_KEY} characters", field="key")
            lines = None
            if input.lines is not None:
                lines = {one.id: one.quantity for one in input.lines}
                if len(lines) != len(input.lines):
                    raise Malformed("a line is named twice", field="lines")
            async with context.writing() as db:
                found = await refund_cart(
                    db,
                    counter=counter,
                    key=input.basket,
                    refund_key=refund_key,
                    lines=lines,
                )
        except REFUSALS as no:
            return _refused(no, refund_field)
        except Rejected as unknown:
            return _no_basket(unknown)
        return told_refund(found)


def _no_basket(no: Rejected) -> CartDeclined:
    """Return the decline for a key that names no basket."""
    return CartDeclined.of(
        views.CartRefusal(source="cart", reason="unknown_basket", message=no.message)
    )
