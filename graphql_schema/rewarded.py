"""What of a member's card tells of rewards: orders, vouchers and what birthdays brought."""

import strawberry

from graphql_schema import access
from graphql_schema.context import Info
from graphql_schema.fields import resolved
from graphql_schema.occasions import OccasionGift, visible_occasions
from graphql_schema.pages import After, Before, Connection, First, Last, window
from graphql_schema.rewards import RewardOrder, order_page
from graphql_schema.vouchers import States, Voucher, VoucherNotice, voucher_page
from hub.benefits.rewards.queries import ORDERS
from hub.benefits.vouchers.queries import VOUCHERS


@strawberry.type
class RewardHolder:
    """Who orders rewards and has vouchers."""

    member_id: strawberry.Private[int]

    @resolved("Rewards that the member has ordered, newest first; a business sees those that it "
              "offers.")  # fmt: skip
    async def reward_orders(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[RewardOrder]:
        """Return a page of orders."""
        asked = window(first=first, after=after, last=last, before=before, shape=ORDERS.shape)
        return await order_page(info.context, self.member_id, asked)

    @resolved("The member's vouchers, the latest first; a business sees those that it takes.")
    async def vouchers(
        self,
        info: Info,
        *,
        states: States = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Voucher]:
        """Return a page of vouchers."""
        asked = window(first=first, after=after, last=last, before=before, shape=VOUCHERS.shape)
        return await voucher_page(info.context, self.member_id, asked, states=states)

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
