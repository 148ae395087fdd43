"""Ordering rewards, and what becomes of orders."""

from enum import Enum
from typing import Annotated, TypeAlias

import strawberry
from strawberry import relay

from graphql_schema import access
from graphql_schema.context import Context, Info
from graphql_schema.desk import KEY, open_desk
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import MemberKey, node_key, reached_member
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    Forbidden,
    IdempotencyConflict,
    InsufficientPoints,
    InvalidInput,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
)
from graphql_schema.rewards import (
    RewardOrder,
    RewardOrderState,
    offering,
    state_named,
    visible_order,
)
from graphql_schema.till import open_till
from hub import errors
from hub.benefits.rewards import digital, queries
from hub.benefits.rewards.cancel import cancel
from hub.benefits.rewards.codes import OrderOutcome, OrderState
from hub.benefits.rewards.fulfil import fulfil
from hub.benefits.rewards.order import OrderAnswer, Shop, order
from hub.benefits.rewards.pay import pay
from hub.crypto.tokens import Role
from hub.jobs.changes import member_key
from hub.programme.queries import Business, Programme


@strawberry.input(description="A reward that a member wants.")
class OrderRewardInput:
    """An order."""

    reward: str = strawberry.field(description="The reward's short name.")
    idempotency_key: str = strawberry.field(description=KEY)
    member: MemberKey | None = strawberry.field(
        default=None, description="For whom; unsaid, the member who is signed in."
    )


@strawberry.input(description="Money that was taken for an order.")
class PayRewardOrderInput:
    """A payment."""

    order: relay.GlobalID = strawberry.field(description="The order's node id.")
    payment_reference: str = strawberry.field(
        description="What the till or shop calls the payment, once per payment: sending the same "
        "again changes nothing."
    )


@strawberry.input(description="An order that was handed out or sent.")
class FulfilRewardOrderInput:
    """A hand-over."""

    order: relay.GlobalID = strawberry.field(description="The order's node id.")
    delivery_note: str | None = strawberry.field(
        default=None, description="How it went out: a tracking number, or who has it."
    )


@strawberry.input(description="An order to give up, or one that came back.")
class EndRewardOrderInput:
    """A cancellation or a return."""

    order: relay.GlobalID = strawberry.field(description="The order's node id.")


@strawberry.input(description="An order that came back.")
class ReturnRewardOrderInput:
    """A return."""

    order: relay.GlobalID = strawberry.field(description="The order's node id.")
    restock: bool = strawberry.field(
        default=True, description="Whether what came back can be handed out again."
    )


@strawberry.enum(description="Why a reward cannot be had.")
class RewardRefusal(Enum):
    """The declines of hub.benefits.rewards.codes."""

    NOT_AVAILABLE = strawberry.enum_value(
        OrderOutcome.NOT_AVAILABLE.value, description="It cannot be ordered yet, or no more."
    )
    TIER_REQUIRED = strawberry.enum_value(
        OrderOutcome.TIER_REQUIRED.value, description="It is for members of a higher tier."
    )
    LIMIT_REACHED = strawberry.enum_value(
        OrderOutcome.LIMIT_REACHED.value, description="The member has had as many as they may."
    )
    OUT_OF_STOCK = strawberry.enum_value(
        OrderOutcome.OUT_OF_STOCK.value, description="None is left."
    )
    ISSUER_STOPPED = strawberry.enum_value(
        OrderOutcome.ISSUER_STOPPED.value,
        description="The business takes no more points of one that granted some of the member's, "
        "until that has paid.",
    )


_WORDS = {
    OrderOutcome.NOT_AVAILABLE: "it cannot be ordered yet, or no more",
    OrderOutcome.TIER_REQUIRED: "it is for members of a higher tier",
    OrderOutcome.LIMIT_REACHED: "the member has had as many as they may",
    OrderOutcome.OUT_OF_STOCK: "none is left",
    OrderOutcome.ISSUER_STOPPED: "some of the member's points are not taken here now",
}


@strawberry.type(description="The reward cannot be had.")
class RewardRefused(Rejection):
    """A decline, stored under the idempotency key."""

    reason: RewardRefusal = strawberry.field(description="Why.")


@strawberry.type(description="There is no such order, or none that the caller may know of.")
class RewardOrderUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The order stands so that this cannot be done.")
class RewardOrderElsewhere(Rejection):
    """Nothing was stored."""

    state: RewardOrderState = strawberry.field(description="Where it stands.")


@strawberry.type(
    description="Of the voucher or benefit that the order brought some was used, set aside at a "
    "till or given away, or it has ended: the order stands."
)
class RewardUsed(Rejection):
    """Nothing was stored."""

    what: str = strawberry.field(description="Which: voucher or benefit.")


@strawberry.type(description="An order, as it stands now.")
class RewardOrdered:
    """What an order has come to."""

    order: RewardOrder = strawberry.field(description="The order, as it stands now.")
    member: Member = strawberry.field(description="The member, as things stand now.")


_Known: TypeAlias = RewardOrdered | RewardOrderUnknown | RewardOrderElsewhere | RewardUsed
OrderRewardResult = Annotated[
    RewardOrdered | RewardRefused | InsufficientPoints | MemberUnknown | Refused,
    strawberry.union("OrderRewardResult", description="What came of an order."),
]
RewardOrderResult = Annotated[
    _Known | IdempotencyConflict | InvalidInput | Forbidden,
    strawberry.union("RewardOrderResult", description="What came of a step of an order."),
]


@strawberry.type
class OrderingMutation:
    """Rewards, from order to hand-over and back."""

    @resolved("Order a reward: points are spent at once, or held until its money is paid. A member "
              "orders for itself, a business what it offers, staff for a member.")  # fmt: skip
    async def order_reward(
        self,
        info: Info,
        input: Given[OrderRewardInput],  # noqa: A002
    ) -> OrderRewardResult:
        """Order and commit, or answer why not."""
        context = info.context
        try:
            caller = access.require(context.principal, *access.ORDERERS)
            member, key = await _for_whom(context, input)
            if member is None:
                return member_unknown()
            business = await offering(context, input.reward)
            group: Programme = await context.load.programme()
            today = await context.load.today()
            async with context.writing() as db:
                answer = await order(
                    db,
                    member_id=member.member_id,
                    reward_code=input.reward,
                    shop=Shop(
                        business_id=business.business_id,
                        business_date=context.trading_day(business),
                        stopped_issuers=business.stopped_issuers,
                    ),
                    actor=caller.subject,
                    idempotency_key=key,
                    today=today,
                    now=context.now,
                    time_zone=group.time_zone,
                    keyring=context.keyring,
                )
                context.changed(member_key(member.member_id))
        except errors.NotFound as unknown:
            if unknown.facts.get("field") == "reward":
                return InvalidInput(message=unknown.message, field="reward")
            return member_unknown()
        except REFUSALS as no:
            return refused(no)
        if answer.outcome is not OrderOutcome.ORDERED:
            return _declined(answer)
        return await _now(context, answer.order_id)

    @resolved("Note that the money of an order was taken: its points are spent. For the business "
              "that offers it, and staff.")  # fmt: skip
    async def pay_reward_order(
        self,
        info: Info,
        input: Given[PayRewardOrderInput],  # noqa: A002
    ) -> RewardOrderResult:
        """Pay and commit, or answer why not."""
        context = info.context
        try:
            found, business, actor = await _reached(context, input.order, access.REWARD_KEEPERS)
            today = await context.load.today()
            async with context.writing() as db:
                await pay(
                    db,
                    order_id=found.order_id,
                    payment_reference=input.payment_reference,
                    actor=actor,
                    business_date=context.trading_day(business),
                    today=today,
                    now=context.now,
                    keyring=context.keyring,
                )
                context.changed(member_key(found.member_id))
        except (errors.NotFound, errors.Rejected, *REFUSALS) as no:
            return _not_done(no)
        return await _now(context, found.order_id)

    @resolved("Note that an order was handed out or sent. For the business that offers it, and "
              "staff.")  # fmt: skip
    async def fulfil_reward_order(
        self,
        info: Info,
        input: Given[FulfilRewardOrderInput],  # noqa: A002
    ) -> RewardOrderResult:
        """Fulfil and commit, or answer why not."""
        context = info.context
        try:
            found, _, actor = await _reached(context, input.order, access.REWARD_KEEPERS)
            async with context.writing() as db:
                await fulfil(
                    db,
                    order_id=found.order_id,
                    actor=actor,
                    now=context.now,
                    delivery_note=input.delivery_note,
                )
        except (errors.NotFound, errors.Rejected, *REFUSALS) as no:
            return _not_done(no)
        return await _now(context, found.order_id)

    @resolved("Give an order up before it is handed out, or while nothing was used of the voucher "
              "or benefit that it brought: its points are back where they came from. For the "
              "member, the business that offers it, and staff. Money that was paid is given back "
              "by who took it.")  # fmt: skip
    async def cancel_reward_order(
        self,
        info: Info,
        input: Given[EndRewardOrderInput],  # noqa: A002
    ) -> RewardOrderResult:
        """Cancel and commit, or answer why not."""
        return await _end(
            info.context, input.order, roles=access.ORDERERS, to=OrderState.CANCELLED, restock=True
        )

    @resolved("Take back what was handed out: its points are back where they came from. For the "
              "business that offers it, and staff.")  # fmt: skip
    async def return_reward_order(
        self,
        info: Info,
        input: Given[ReturnRewardOrderInput],  # noqa: A002
    ) -> RewardOrderResult:
        """Return and commit, or answer why not."""
        return await _end(
            info.context,
            input.order,
            roles=access.REWARD_KEEPERS,
            to=OrderState.RETURNED,
            restock=input.restock,
        )


async def _for_whom(context: Context, asked: OrderRewardInput) -> tuple[Member | None, str]:
    """Return the member to have it, None for one that is not known, and the key of the request."""
    if context.caller.role is Role.BUSINESS:
        till = await open_till(context, business=None, idempotency_key=asked.idempotency_key)
        if asked.member is None:
            raise errors.Malformed("say for which member", field="member")
        found = await reached_member(context, asked.member)
        return found, f"business:{till.business.code}:{asked.idempotency_key}"
    desk = await open_desk(
        context,
        roles=access.ORDERERS,
        member=asked.member,
        idempotency_key=asked.idempotency_key,
    )
    return desk.member, desk.idempotency_key


async def _reached(
    context: Context, id_: relay.GlobalID, roles: tuple[Role, ...]
) -> tuple[queries.Order, Business, str]:
    """Return an order that the caller may act on, its business, and who acts; raises NotFound."""
    caller = access.require(context.principal, *roles)
    (order_id,) = node_key(id_, "RewardOrder", parts=1, field="order")
    found = await visible_order(context, order_id)
    if found is None:
        raise errors.NotFound("there is no such order", field="order")
    return found, await context.business(found.business_id), caller.subject


async def _end(
    context: Context,
    id_: relay.GlobalID,
    *,
    roles: tuple[Role, ...],
    to: OrderState,
    restock: bool,
) -> RewardOrderResult:
    try:
        found, business, actor = await _reached(context, id_, roles)
        policy = (await context.load.policies()).points(context.now)
        today = await context.load.today()
        async with context.writing() as db:
            await cancel(
                db,
                order_id=found.order_id,
                actor=actor,
                business_date=context.trading_day(business),
                today=today,
                now=context.now,
                grace_days=policy.restore_grace_days,
                to=to,
                restock=restock,
            )
            context.changed(member_key(found.member_id))
    except (errors.NotFound, errors.Rejected, *REFUSALS) as no:
        return _not_done(no)
    return await _now(context, found.order_id)


def _declined(answer: OrderAnswer) -> RewardRefused | InsufficientPoints:
    if answer.outcome is OrderOutcome.INSUFFICIENT_POINTS:
        available = answer.available or 0
        return InsufficientPoints(
            message=f"{available} points can be spent: it costs more", available=available
        )
    reason = RewardRefusal[answer.outcome.name]
    return RewardRefused(message=_WORDS[answer.outcome], reason=reason)


def _not_done(
    no: errors.NotFound | errors.Rejected | errors.Conflict | errors.Malformed | errors.Forbidden,
) -> RewardOrderUnknown | RewardOrderElsewhere | RewardUsed | Refused:
    if isinstance(no, errors.NotFound):
        return RewardOrderUnknown(message="no such order is known to this caller")
    if isinstance(no, digital.RewardUsed):
        return RewardUsed(message=no.message, what=str(no.facts["what"]))
    if isinstance(no, errors.Rejected):
        return RewardOrderElsewhere(message=no.message, state=state_named(str(no.facts["state"])))
    return refused(no)


async def _now(context: Context, order_id: int) -> RewardOrdered:
    async with context.reading() as db:
        found = await queries.order_by_number(db, order_id=order_id)
    if found is None:
        raise RuntimeError("an order that was made is not there")
    return RewardOrdered(order=RewardOrder.of(found), member=Member(member_id=found.member_id))
