"""Paid membership: the plans that are sold, and what a member has of them."""

from datetime import date

import strawberry

from graphql_schema.access import EVERYBODY, require
from graphql_schema.context import Info
from graphql_schema.fields import count, resolved, said, shown
from graphql_schema.plan.declared import Column
from graphql_schema.programme import Business
from hub.benefits.memberships import plans, queries


@strawberry.type(description="Uses of a benefit that each paid period of a plan grants.")
class PlanGrant:
    """A part of what a plan gives."""

    benefit: str = strawberry.field(description="The benefit's short name.")
    quantity: int = count("How many uses.")


@strawberry.type(description="A plan of paid membership, as it is sold now.")
class MembershipPlan:
    """A plan."""

    seller_id: strawberry.Private[int | None]
    granted: strawberry.Private[list[dict[str, object]]]
    code: str = strawberry.field(description="The plan's short name.")
    name: str = strawberry.field(description="The plan's name.")
    name_zh: str = strawberry.field(description="The plan's name in Chinese.")
    price_minor: int = count("What one period costs, in minor units of `currency`.")
    currency: str = strawberry.field(description="ISO 4217 code of the currency.")
    period: str = strawberry.field(description="month, quarter, year, or days.")
    period_days: int | None = strawberry.field(description="How many days, of a period of days.")
    trial_days: int = strawberry.field(description="Days for nothing, once; 0: none.")
    grace_days: int = strawberry.field(
        description="Days after the end within which a payment leaves no gap."
    )

    tier: str | None = strawberry.field(description="The tier it gives while it is paid for.")

    @classmethod
    def of(cls, row: plans.Plan) -> "MembershipPlan":
        """Show a plan."""
        return shown(cls, row, granted=row.grants)

    @resolved("What each paid period grants.")
    async def grants(self) -> list[PlanGrant]:
        """Return the benefits of a period."""
        return [
            PlanGrant(benefit=str(one["benefit"]), quantity=int(str(one["quantity"])))
            for one in self.granted
        ]

    @resolved("The business that sells it; null: the group.")
    async def seller(self, info: Info) -> Business | None:
        """Return who sells the plan."""
        if self.seller_id is None:
            return None
        return Business.of(await info.context.business(self.seller_id))


@strawberry.type(description="A period of a plan that was paid for, or tried.")
class MembershipTerm:
    """A term; void when it ends before it starts."""

    fact_id: strawberry.Private[int]
    starts_on: date = strawberry.field(description="Its first day.")
    ends_on: date = strawberry.field(
        description="Its last day as it stands; the day before its first: it was ended before."
    )
    full_ends_on: date = strawberry.field(description="Its last day, had it not been cut short.")
    trial: bool = strawberry.field(description="Whether it is a trial.")
    value_minor: int = count(
        "What was paid for it, with what an upgrade took over, in minor units of `currency`."
    )
    refund_minor: int = count("Of these, given back or due back, once it was cancelled.")
    refunded_minor: int = count("Of these, given back or taken over by another plan.")
    currency: str = strawberry.field(description="ISO 4217 code of the currency.")

    @classmethod
    def of(cls, row: queries.Term) -> "MembershipTerm":
        """Show a term."""
        return shown(cls, row)

    @resolved("Number of the payment, for `noteMembershipRefund`.")
    async def payment(self) -> strawberry.ID:
        """Return the payment's number."""
        return strawberry.ID(str(self.fact_id))


@strawberry.type(description="What a member has of a plan.")
class Membership:
    """A member's place in a plan."""

    seller_id: strawberry.Private[int | None]
    periods: strawberry.Private[list[queries.Term]]
    plan: str = said("The plan's short name.", plan=Column("plan_code"))
    name: str = strawberry.field(description="The plan's name.")
    name_zh: str = strawberry.field(description="The plan's name in Chinese.")
    state: str = strawberry.field(
        description="trial, active, due (paid for days to come), grace (a payment leaves no gap), "
        "or ended."
    )
    starts_on: date = strawberry.field(description="The first day that was ever paid for or tried.")
    ends_on: date = strawberry.field(description="The last day.")
    refund_due_minor: int = count(
        "What is due back and was not given back yet, in minor units of `currency`."
    )
    currency: str = strawberry.field(description="ISO 4217 code of the currency.")

    @classmethod
    def of(cls, row: queries.Membership) -> "Membership":
        """Show a membership."""
        return shown(cls, row, periods=row.terms)

    @resolved("Its periods, oldest first.")
    async def terms(self) -> list[MembershipTerm]:
        """Return the terms of the membership."""
        return [MembershipTerm.of(row) for row in self.periods]


@strawberry.type
class MembershipQuery:
    """What is sold."""

    @resolved("The plans of paid membership that are sold now.")
    async def membership_plans(self, info: Info) -> list[MembershipPlan]:
        """Return the plans in force."""
        context = info.context
        require(context.principal, *EVERYBODY)
        async with context.reading() as db:
            return [MembershipPlan.of(row) for row in await plans.plans_at(db, at=context.now)]
