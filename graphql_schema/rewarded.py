"""What of a member's card tells of rewards: orders, vouchers and what birthdays brought."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from graphql_schema import access
from graphql_schema.context import Context, Info
from graphql_schema.deprecated import replaced
from graphql_schema.fields import resolved
from graphql_schema.filters import (
    DIRECTION,
    Direction,
    by_businesses,
    filtered_page,
    nameable,
    once,
    ordered_page,
    refuse_unknown,
    said,
)
from graphql_schema.occasions import OccasionGift, visible_occasions
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.rewards import RewardOrder, RewardOrderState, order_page
from graphql_schema.vouchers import Voucher, VoucherNotice
from hub.benefits.rewards.queries import ORDERS, OrderFilter
from hub.benefits.vouchers import queries
from hub.benefits.vouchers.queries import VoucherState


@strawberry.input(description="Which vouchers; all that is said holds.")
class VoucherFilter:
    """By where they stand and what they are."""

    states: list[VoucherState] | None = strawberry.field(
        default=None, description="Those in these states."
    )
    campaign: str | None = strawberry.field(
        default=None,
        description="Those of a campaign, by its short name; of one that is not there: none.",
    )


@strawberry.enum(description="By what vouchers are ordered.")
class VoucherOrderField(Enum):
    """The orders of hub.benefits.vouchers.queries."""

    ISSUED = strawberry.enum_value("issued", description="The order in which they were issued.")
    ENDS = strawberry.enum_value("ends", description="When they end.")


@strawberry.input(description="How vouchers are ordered.")
class VoucherOrder:
    """By what, and which way."""

    field: VoucherOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


_ORDERS = {"ISSUED": queries.VOUCHERS, "ENDS": queries.ENDING}


@strawberry.input(description="Which orders; all that is said holds.")
class RewardOrderFilter:
    """By what was ordered, where it stands and when."""

    business: str | None = strawberry.field(
        default=None, description="Of what this business offers, by its code."
    )
    reward: str | None = strawberry.field(
        default=None, description="Of this reward, by its short name."
    )
    states: list[RewardOrderState] | None = strawberry.field(
        default=None, description="Those that stand so."
    )
    ordered_from: datetime | None = strawberry.field(
        default=None, description="Ordered then or later, with an offset from UTC."
    )
    ordered_before: datetime | None = strawberry.field(
        default=None, description="Ordered before then, with an offset from UTC."
    )


@strawberry.type
class RewardHolder:
    """Who orders rewards and has vouchers."""

    member_id: strawberry.Private[int]

    @resolved("Rewards that the member has ordered, newest first; a business sees those that it "
              "offers.")  # fmt: skip
    async def reward_orders(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            RewardOrderFilter | None, strawberry.argument(description="Only these orders.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[RewardOrder]:
        """Return a page of orders; raises NotFound for an unknown business or reward."""
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked, told = filtered_page(filter, ORDERS, **paging), said(filter)
        only = await _orders_only(info.context, told)
        if only is None:
            page = connection([], asked, node=RewardOrder.of, place=ORDERS.place)
        else:
            page = await order_page(info.context, self.member_id, asked, only)
        if not page.edges:
            await refuse_unknown(info.context, told, "reward")
        return page

    @resolved("The member's vouchers, the latest first; a business sees those that it takes.")
    async def vouchers(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            VoucherFilter | None, strawberry.argument(description="Only these vouchers.")
        ] = None,
        order_by: Annotated[
            VoucherOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the latest first."),
        ] = None,
        states: Annotated[
            list[VoucherState] | None,
            strawberry.argument(
                description="Only those in these states; unsaid, all.",
                deprecation_reason=replaced(since="2026-11-27", by="`filter.states`"),
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Voucher]:
        """Return a page of vouchers."""
        context, only = info.context, filter or VoucherFilter()
        access.require(context.principal, *access.MEMBER_READERS)
        once("states", states, only.states)
        nameable("campaign", only.campaign)
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(only, order_by, _ORDERS, queries.VOUCHERS, **paging)
        page = queries.VoucherPage(
            stretch=asked.stretch,
            states=tuple(dict.fromkeys(states or only.states or ())),
            business_id=await context.own_business_id(),
            campaign=only.campaign,
            order=order,
        )
        rows = await context.load.vouchers.pages.load((page, self.member_id))
        return connection(rows or [], asked, node=Voucher.of, place=order.place)

    @resolved("What the member was told of vouchers that end and still do, soonest first. For the "
              "member and staff; a business is shown none.")  # fmt: skip
    async def voucher_notices(self, info: Info) -> list[VoucherNotice]:
        """Return the notices, if the caller may read them."""
        if not access.reads_notices(access.require(info.context.principal, *access.MEMBER_READERS)):
            return []
        rows = await info.context.load.vouchers.notices.load(self.member_id)
        return [VoucherNotice.of(row) for row in rows or []]

    @resolved("What birthdays brought, latest first. For the member and staff; a business: none.")
    async def occasions(self, info: Info) -> list[OccasionGift]:
        """Return the gifts, if the caller may read them."""
        return await visible_occasions(info.context, self.member_id)


async def _orders_only(context: Context, told: dict[str, Any]) -> OrderFilter | None:
    """Return which orders are asked for; None where a business asks for another's."""
    own = access.only_business(access.require(context.principal, *access.MEMBER_READERS))
    if own is not None and told.setdefault("business", own) != own:
        return None
    if "states" in told:
        told["states"] = tuple(dict.fromkeys(state.value for state in told["states"]))
    return OrderFilter(**await by_businesses(context, told, "business"))
