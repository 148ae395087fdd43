"""What members have of benefits and plans, and why: a part of the member card."""

import strawberry

from graphql_schema import access
from graphql_schema.context import Context, Info
from graphql_schema.fields import resolved
from graphql_schema.memberships import Membership
from graphql_schema.quotas import EntitlementGrant, EntitlementHold, EntitlementMovement


async def own_business_id(context: Context) -> int | None:
    """Return the business whose rows alone the caller sees; None: those of all."""
    own = access.only_business(access.require(context.principal, *access.MEMBER_READERS))
    return None if own is None else (await context.business_by_code(own)).business_id


@strawberry.type
class BenefitHolder:
    """The fields of a member that tell of its benefits, beside what it may use today."""

    member_id: strawberry.Private[int]

    @resolved("Why the member has its benefits: all that was granted, what ends last first; at "
              "most 200. A business sees what it offers.")  # fmt: skip
    async def entitlement_grants(self, info: Info) -> list[EntitlementGrant]:
        """Return the grants that the caller may see."""
        own = await own_business_id(info.context)
        rows = await info.context.load.grants.load(self.member_id)
        return [EntitlementGrant.of(r) for r in rows if own is None or own in r.offered_at]

    @resolved("What tills have set aside of the member's benefits, oldest first; a business sees "
              "its own.")  # fmt: skip
    async def entitlement_holds(self, info: Info) -> list[EntitlementHold]:
        """Return the open holds that the caller may see."""
        own = await own_business_id(info.context)
        rows = await info.context.load.benefit_holds.load(self.member_id)
        return [EntitlementHold.of(r) for r in rows if own in (None, r.business_id)]

    @resolved("What moved the member's quotas, newest first; at most 200. A business sees what "
              "it did itself, and what was granted of what it offers.")  # fmt: skip
    async def entitlement_history(self, info: Info) -> list[EntitlementMovement]:
        """Return the movements that the caller may see."""
        own = await own_business_id(info.context)
        rows = await info.context.load.benefit_movements.load(self.member_id)
        return [
            EntitlementMovement.of(row)
            for row in rows
            if own in (None, row.business_id) or (row.business_id is None and own in row.offered_at)
        ]

    @resolved("The plans of paid membership that the member has or had; a business sees those that "
              "it sells, and the group's.")  # fmt: skip
    async def memberships(self, info: Info) -> list[Membership]:
        """Return the memberships that the caller may see."""
        own = await own_business_id(info.context)
        rows = await info.context.load.memberships.load(self.member_id)
        return [Membership.of(r) for r in rows if own is None or r.seller_id in (None, own)]
