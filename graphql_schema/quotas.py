"""Quotas as ledgers: who granted what, what tills hold, what moved."""

from datetime import date, datetime

import strawberry

from graphql_schema.context import Info
from graphql_schema.fields import count, resolved, said, shown
from graphql_schema.plan.declared import Column
from graphql_schema.programme import Business
from hub.benefits.entitlements import queries


@strawberry.type(description="What one source granted a member of a benefit.")
class EntitlementGrant:
    """Why a member has a benefit, and what became of it."""

    entitlement_id: strawberry.Private[int]
    benefit: str = said("The benefit's short name.", plan=Column("benefit_code"))
    source: str = strawberry.field(
        description="What granted it: tier, plan, voucher, campaign, staff, occasion, carried …."
    )
    reason: str | None = strawberry.field(description="Why, where somebody said so.")
    starts_on: date = strawberry.field(description="The first day on which it can be used.")
    ends_on: date = strawberry.field(
        description="The last day on which it can be used; 9999-12-31: for good."
    )
    granted: int = count("Uses that were granted.")
    held: int = count("Of these, set aside at tills.")
    used: int = count("Of these, used.")
    ended: int = count("Of these, ended unused.")
    remaining: int = count("Of these, left.")

    @classmethod
    def of(cls, row: queries.Grant) -> "EntitlementGrant":
        """Show a grant."""
        return shown(cls, row)

    @resolved("Its number, for `revokeEntitlement`.")
    async def number(self) -> strawberry.ID:
        """Return the grant's number."""
        return strawberry.ID(str(self.entitlement_id))


@strawberry.type(description="Uses of a benefit that a till has set aside.")
class EntitlementHold:
    """A hold, as it stands now."""

    hold_id: strawberry.Private[int]
    business_id: strawberry.Private[int]
    benefit: str = said("The benefit's short name.", plan=Column("benefit_code"))
    quantity: int = count("Uses that were set aside.")
    remaining: int = count("Of these, still set aside.")
    expires_at: datetime = strawberry.field(description="When what is left of it lapses.")

    @classmethod
    def of(cls, row: queries.Held) -> "EntitlementHold":
        """Show a hold."""
        return shown(cls, row)

    @resolved("Its number, for `useHeld` and `releaseHeld`.")
    async def number(self) -> strawberry.ID:
        """Return the hold's number."""
        return strawberry.ID(str(self.hold_id))

    @resolved("The business that holds them.")
    async def business(self, info: Info) -> Business:
        """Return where the hold was placed."""
        return Business.of(await info.context.business(self.business_id))


@strawberry.type(description="Something that moved a member's quota of a benefit.")
class EntitlementMovement:
    """An entry of the ledger of quotas."""

    business_id: strawberry.Private[int | None]
    benefit: str = said("The benefit's short name.", plan=Column("benefit_code"))
    kind: str = strawberry.field(
        description="What it did: granted, held, released, lapsed, used, captured (a hold was "
        "used), returned (a use was cancelled), expired, carried, lost, revoked …."
    )
    quantity: int = count("How many uses.")
    occurred_at: datetime = strawberry.field(description="When.")
    reason: str | None = strawberry.field(description="Why, where somebody said so.")

    @classmethod
    def of(cls, row: queries.Movement) -> "EntitlementMovement":
        """Show a movement."""
        return shown(cls, row)

    @resolved("The business whose till did it; null: no till did.")
    async def business(self, info: Info) -> Business | None:
        """Return the business that asked for it."""
        if self.business_id is None:
            return None
        return Business.of(await info.context.business(self.business_id))
