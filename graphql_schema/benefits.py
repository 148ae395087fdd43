"""Tiers and entitlements: what a member's standing gives."""

from datetime import date, datetime

import strawberry

from graphql_schema.context import Info
from graphql_schema.fields import count, resolved, said, shown
from graphql_schema.plan.declared import BusinessOf, Column, Within
from graphql_schema.programme import Business
from hub.benefits.entitlements import queries as quotas
from hub.benefits.tiers.standings import Standing


@strawberry.type(description="What is missing for the next tier.")
class TierProgress:
    """The way to the next tier."""

    next_code: str = strawberry.field(description="The next tier's short name.")
    next_name: str = strawberry.field(description="The next tier's name.")
    next_name_zh: str = strawberry.field(description="The next tier's name in Chinese.")
    missing_points: int = count("Qualifying points that are still missing.", column="missing")
    by: date = strawberry.field(description="The last day on which they count.")


@strawberry.type(description="Where a member stands on the ladder.")
class Tier:
    """A member's standing in the programme's current year."""

    code: str | None = strawberry.field(description="The tier's short name; null: no tier yet.")
    name: str | None = strawberry.field(description="The tier's name.")
    name_zh: str | None = strawberry.field(description="The tier's name in Chinese.")
    since: datetime | None = strawberry.field(description="When the member reached it.")
    qualifying: int = count("Qualifying points of this year, net of refunds.")
    progress: TierProgress | None = said(
        "What is missing for the next tier; null at the top.",
        plan=Within("next_code", TierProgress),
    )

    @classmethod
    def of(cls, row: Standing) -> "Tier":
        """Show a standing."""
        return shown(cls, row)


@strawberry.type(description="How often a member may use a benefit in a period.")
class Entitlement:
    """A quota and what is left of it."""

    offered_ids: strawberry.Private[list[int]]
    benefit: str = said(
        "The benefit's short name, for `useEntitlement`.", plan=Column("benefit_code")
    )
    kind: str = strawberry.field(description="What it is: upgrade, late_checkout, delivery, ….")
    name: str = strawberry.field(description="The benefit's name.")
    name_zh: str = strawberry.field(description="The benefit's name in Chinese.")
    starts_on: date = strawberry.field(description="The period's first day.")
    ends_on: date = strawberry.field(description="The period's last day.")
    granted: int = count("Uses in the period, by all that grant them.")
    held: int = count("Of these, set aside at tills until used, released or lapsed.")
    used: int = count("Of these, used so far; what is cancelled is not.")
    ended: int = count("Of these, ended unused: expired, revoked or lost with a tier.")
    remaining: int = count("Uses that are left.")
    sources: list[str] = strawberry.field(
        description="What grants it: tier, plan, voucher, campaign, staff, carried, …."
    )

    @classmethod
    def of(cls, row: quotas.Entitlement) -> "Entitlement":
        """Show a quota."""
        return shown(cls, row, offered_ids=row.offered_at)

    @resolved("The businesses where it can be used.", plan=BusinessOf("offered_at", many=True))
    async def offered_at(self, info: Info) -> list[Business]:
        """Return where the benefit is offered."""
        return [Business.of(await info.context.business(id_)) for id_ in self.offered_ids]
