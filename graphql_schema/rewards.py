"""Rewards: what can be had for points, and what members have ordered."""

from datetime import datetime
from enum import Enum
from typing import Annotated, ClassVar

import strawberry
from strawberry import relay

from graphql_schema.access import MEMBER_READERS, acts_at, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import count, key_of, resolved, shown
from graphql_schema.pages import Connection, Window, connection
from graphql_schema.plan.declared import Column
from graphql_schema.programme import Business
from graphql_schema.scalars import Long
from hub.benefits.rewards import queries
from hub.benefits.rewards.codes import OrderState
from hub.crypto.tokens import Role, Scope
from hub.errors import NotFound
from hub.programme import queries as programme

DEFAULT_LANGUAGE = "en"

Language = Annotated[
    str,
    strawberry.argument(
        description="A language tag: zh, en, zh-Hant. Where there is no text in it, in its first "
        "part, then in English, then in any."
    ),
]


@strawberry.enum(description="Where an order stands.")
class RewardOrderState(Enum):
    """States of hub.benefits.rewards.codes."""

    AWAITING_PAYMENT = strawberry.enum_value(
        OrderState.AWAITING_PAYMENT.value,
        description="Its points are held until its money has been paid.",
    )
    CONFIRMED = strawberry.enum_value(
        OrderState.CONFIRMED.value, description="It is paid for, and to be handed out."
    )
    FULFILLED = strawberry.enum_value(
        OrderState.FULFILLED.value, description="The member has it, or it is on the way."
    )
    CANCELLED = strawberry.enum_value(
        OrderState.CANCELLED.value, description="It was given up; its points are back."
    )
    LAPSED = strawberry.enum_value(
        OrderState.LAPSED.value, description="Its money did not come in time; its points are free."
    )
    RETURNED = strawberry.enum_value(
        OrderState.RETURNED.value, description="It came back, and so did its points."
    )


def state_named(state: str) -> RewardOrderState:
    """Return the state that a row tells of."""
    return RewardOrderState[OrderState(state).name]


@strawberry.type(description="A picture of a reward.")
class RewardPicture:
    """A picture and what it shows."""

    url: str = strawberry.field(description="Its https address.")
    alt: str = strawberry.field(description="What it shows, for who cannot see it.")


def _said(by_language: dict[str, str], language: str) -> str:
    """Return the text in a language, or in the nearest that there is; empty when there is none."""
    first = language.split("-", 1)[0]
    for tag in (language, first, DEFAULT_LANGUAGE):
        if tag in by_language:
            return by_language[tag]
    return next(iter(by_language.values()), "")


@strawberry.type(description="Something that members can have for points.")
class Reward:
    """A reward by the terms in force."""

    row: strawberry.Private[queries.Reward]
    code: str = strawberry.field(description="Its short name, for `orderReward`.")
    category: str = strawberry.field(description="Which kind of thing it is.")
    points: int = count("Points that it costs.")
    price_minor: int = count("Money that it costs on top, in minor units; 0: points alone.")
    currency: str = strawberry.field(description="ISO 4217 currency of `priceMinor`.")
    tier: str | None = strawberry.field(
        description="The lowest tier that may order it; null: everybody."
    )
    limit_orders: int | None = strawberry.field(
        description="How many a member may order in a `limitPeriod`; null: as many as they like."
    )
    limit_period: str = strawberry.field(description="month, year or lifetime.")
    available_from: datetime = strawberry.field(description="Since when these terms hold.")
    available_until: datetime | None = strawberry.field(
        description="When it can be ordered no more; null: that is open."
    )
    available: int | None = strawberry.field(
        graphql_type=Long | None, description="Pieces that are left; null: there is no end of them."
    )

    voucher: str | None = strawberry.field(
        description="The campaign whose voucher it brings at once; null: none."
    )
    benefit: str | None = strawberry.field(
        description="The benefit that it brings at once; null: none."
    )
    uses: int | None = strawberry.field(description="How many uses of the benefit.")

    @classmethod
    def of(cls, row: queries.Reward) -> "Reward":
        """Show a reward."""
        return shown(cls, row, row=row)

    @resolved("What it is called.")
    def title(self, language: Language = DEFAULT_LANGUAGE) -> str:
        """Return the title in the nearest language."""
        return _said({tag: one["title"] for tag, one in self.row.texts.items()}, language)

    @resolved("What it is, in plain text.")
    def description(self, language: Language = DEFAULT_LANGUAGE) -> str:
        """Return the description in the nearest language."""
        return _said({tag: one["description"] for tag, one in self.row.texts.items()}, language)

    @resolved("What it looks like.")
    def pictures(self, language: Language = DEFAULT_LANGUAGE) -> list[RewardPicture]:
        """Return the pictures with what they show in the nearest language."""
        return [
            RewardPicture(url=one["url"], alt=_said(one["alt"], language))
            for one in self.row.pictures
        ]

    @resolved("The business that hands it out and takes the points.")
    async def business(self, info: Info) -> Business:
        """Return whose reward it is."""
        return Business.of(await info.context.business(self.row.business_id))


@strawberry.type(description="A step that an order has taken.")
class RewardOrderStep:
    """One step of an order."""

    at: datetime = strawberry.field(description="When.")
    state: RewardOrderState = strawberry.field(description="Where the order stood from then on.")
    actor: str = strawberry.field(description="Who saw to it.")


@strawberry.type(description="A reward that a member has ordered.")
class RewardOrder(relay.Node):
    """An order as it stands."""

    node_key: ClassVar = ("order_id",)
    order_id: strawberry.Private[int]
    member_id: strawberry.Private[int]
    business_id: strawberry.Private[int]
    reward_code: strawberry.Private[str]
    voucher_id: strawberry.Private[int | None]
    entitlement_id: strawberry.Private[int | None]
    points: int = count("Points that it cost.")
    price_minor: int = count("Money that it costs on top, in minor units.")
    currency: str = strawberry.field(description="ISO 4217 currency of `priceMinor`.")
    state: RewardOrderState = strawberry.field(
        description="Where it stands.",
        metadata={"plan": Column("state", show=state_named)},
    )
    ordered_at: datetime = strawberry.field(description="When it was ordered.")
    pay_by: datetime | None = strawberry.field(
        description="Until when it waited, or waits, for its money; null: it cost none."
    )
    delivery_note: str | None = strawberry.field(
        description="How it went out: a tracking number, or who has it."
    )

    @classmethod
    def resolve_id(cls, root: "RewardOrder", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return key_of(cls.node_key, root)

    @classmethod
    def of(cls, row: queries.Order) -> "RewardOrder":
        """Show an order."""
        return shown(cls, row)

    @resolved("Its number, as it is on papers.")
    def number(self) -> strawberry.ID:
        """Return the order's number."""
        return strawberry.ID(str(self.order_id))

    @resolved("Number of the voucher that it brought; null: none.")
    def voucher(self) -> strawberry.ID | None:
        """Return the voucher's number."""
        return None if self.voucher_id is None else strawberry.ID(str(self.voucher_id))

    @resolved("Number of the grant that it brought, as in `entitlementGrants`; null: none.")
    def grant(self) -> strawberry.ID | None:
        """Return the entitlement's number."""
        return None if self.entitlement_id is None else strawberry.ID(str(self.entitlement_id))

    @resolved("What was ordered, as it is offered now; null when it is offered no more.")
    async def reward(self, info: Info) -> Reward | None:
        """Return the reward by the terms in force."""
        row = await info.context.load.pages.rewards.load(self.reward_code)
        return None if row is None else Reward.of(row)

    @resolved("The business that hands it out.")
    async def business(self, info: Info) -> Business:
        """Return whose reward it was."""
        return Business.of(await info.context.business(self.business_id))

    @resolved("How it came to where it stands, oldest first.")
    async def steps(self, info: Info) -> list[RewardOrderStep]:
        """Return the order's history."""
        found = await info.context.load.pages.order_steps.load(self.order_id)
        return [
            RewardOrderStep(at=one.at, state=state_named(one.state), actor=one.actor)
            for one in found
        ]


async def order_page(
    context: Context, member_id: int, asked: Window, only: queries.OrderFilter
) -> Connection[RewardOrder]:
    """Return a page of a member's orders, newest first."""
    rows = await context.load.pages.orders.load((only, asked.stretch, member_id))
    return connection(rows, asked, node=RewardOrder.of, place=queries.ORDERS.place)


async def visible_order(context: Context, order_id: int) -> queries.Order | None:
    """Return an order that the caller may see: its own, at its own business, or any for staff."""
    caller = require(context.principal, *MEMBER_READERS, scope=Scope.MEMBERS_READ)
    async with context.reading() as db:
        found = await queries.order_by_number(db, order_id=order_id)
    if found is None:
        return None
    if caller.role is Role.MEMBER and found.member_id != await context.own_member_id():
        return None
    own_business = await context.own_business_id()
    return None if own_business not in (None, found.business_id) else found


async def offering(context: Context, code: str) -> programme.Business:
    """Return the business that offers a reward; raises NotFound, and Forbidden for another's."""
    async with context.reading() as db:
        business_id = await queries.offered_by(db, code=code)
    if business_id is None:
        raise NotFound(f"there is no reward {code!r}", field="reward")
    business = await context.business(business_id)
    acts_at(context.caller, business.code)
    return business
