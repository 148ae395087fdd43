"""The programme and its rules, version by version: what earns, and when points end."""

from datetime import datetime
from decimal import Decimal

import strawberry

from graphql_schema.access import EVERYBODY, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import count, resolved
from graphql_schema.ladders import LadderTerms, ladder_terms
from graphql_schema.programme import Business
from graphql_schema.scalars import Long
from graphql_schema.versions import SINCE, knows
from hub.programme.policies import ExpiryPolicy
from hub.programme.rates import Multiplier, Rate
from hub.programme.rule import EarningRule


@strawberry.type(description="Points for what fits, in the place of a rule's own rates.")
class RuleRate:
    """A rate of a rule; the first that fits a line is its rate."""

    applies_to: str = strawberry.field(description="What it is for, in words: category food.")
    points_per_unit: Decimal = strawberry.field(
        description="Points per major unit of the business's currency, exact."
    )
    qualifying_per_unit: Decimal = strawberry.field(
        description="Qualifying points per major unit, exact."
    )

    @classmethod
    def of(cls, rate: Rate) -> "RuleRate":
        """Show a rate."""
        return cls(
            applies_to=str(rate.scope),
            points_per_unit=rate.points_per_unit,
            qualifying_per_unit=rate.qualifying_per_unit,
        )


@strawberry.type(description="How many times what fits counts in points.")
class RuleMultiplier:
    """A multiplier of a rule."""

    applies_to: str = strawberry.field(description="What it is for, in words: tier gold.")
    factor: Decimal = strawberry.field(description="How many times, exact.")
    reason: str = strawberry.field(description="Why.")

    @classmethod
    def of(cls, multiplier: Multiplier) -> "RuleMultiplier":
        """Show a multiplier."""
        return cls(
            applies_to=str(multiplier.scope), factor=multiplier.factor, reason=multiplier.reason
        )


@strawberry.type(description="A version of what a business grants for what it sells.")
class EarningTerms:
    """A version of an earning rule."""

    row: strawberry.Private[EarningRule]
    number: int = count("The version's number, which explanations of earns name.")
    effective_from: datetime = strawberry.field(description=SINCE)
    points_per_unit: Decimal = strawberry.field(
        description="Points per major unit of the business's currency, exact."
    )
    qualifying_per_unit: Decimal = strawberry.field(
        description="Qualifying points per major unit, exact."
    )
    earning_line_kinds: list[str] = strawberry.field(description="Kinds of line that earn.")
    excluded_tender_kinds: list[str] = strawberry.field(
        description="Kinds of tender that earn nothing."
    )
    cap_per_event: int | None = strawberry.field(
        graphql_type=Long | None, description="Points that a bill earns at most; null: no cap."
    )
    cap_per_day: int | None = strawberry.field(
        graphql_type=Long | None,
        description="Points that a member's trading day here earns at most; null: no cap.",
    )

    @classmethod
    def of(cls, row: EarningRule) -> "EarningTerms":
        """Show a version."""
        return cls(
            row=row,
            number=row.rule_id,
            effective_from=row.effective_from,
            points_per_unit=row.points_per_unit,
            qualifying_per_unit=row.qualifying_per_unit,
            earning_line_kinds=sorted(row.earning_line_kinds),
            excluded_tender_kinds=sorted(row.excluded_tender_kinds),
            cap_per_event=row.cap_per_event,
            cap_per_day=row.cap_per_day,
        )

    @resolved("The business that grants the points.")
    async def business(self, info: Info) -> Business:
        """Return whose rule it is."""
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("The unit of the points, by its code.")
    async def unit(self, info: Info) -> str:
        """Return the unit's code."""
        return (await info.context.load.policies()).unit_by_id(self.row.unit).code

    @resolved("Other rates, the first that fits a line before all others.")
    def rates(self) -> list[RuleRate]:
        """Return the rates."""
        return [RuleRate.of(rate) for rate in self.row.rates]

    @resolved("What multiplies points.")
    def multipliers(self) -> list[RuleMultiplier]:
        """Return the multipliers."""
        return [RuleMultiplier.of(one) for one in self.row.multipliers]

    @resolved("What a point costs, in major units of the business's currency, exact. For staff, "
              "finance and the business; null for others.")  # fmt: skip
    async def cost_per_point(self, info: Info) -> Decimal | None:
        """Return the cost, to whom it is told."""
        return self.row.cost_per_point if await knows(info.context, self.row.business_id) else None

    @resolved("The business that pays for the points: the rule's own, unless another does. For "
              "staff, finance and the business; null for others.")  # fmt: skip
    async def funder(self, info: Info) -> Business | None:
        """Return who pays, to whom it is told."""
        row = self.row
        if not await knows(info.context, row.business_id):
            return None
        return Business.of(await info.context.business(row.funder_id or row.business_id))


@strawberry.type(description="A version of when points end.")
class ExpiryTerms:
    """A version of an expiry policy."""

    unit_id: strawberry.Private[int | None]
    effective_from: datetime = strawberry.field(description=SINCE)
    mode: str = strawberry.field(
        description="months: so many after earning; clear_out: on a day of a year; inactivity: "
        "when their member was idle for so long; never."
    )
    months: int | None = strawberry.field(description="Months that they live; by `months`.")
    round_up_to: str = strawberry.field(
        description="To whose end that is rounded up: day, month, quarter or year."
    )
    clear_month: int | None = strawberry.field(description="The month of the clear-out, from 1.")
    clear_day: int | None = strawberry.field(description="The day of the clear-out.")
    years_after: int | None = strawberry.field(
        description="How many years after that of earning the clear-out comes."
    )
    idle_months: int | None = strawberry.field(
        description="Months without an earn or a redemption that end them."
    )
    exempt_tiers: list[str] = strawberry.field(
        description="Tiers whose members lose none, by their short names."
    )

    @classmethod
    def of(cls, unit_id: int | None, since: datetime, policy: ExpiryPolicy) -> "ExpiryTerms":
        """Show a version."""
        return cls(
            unit_id=unit_id,
            effective_from=since,
            mode=policy.mode,
            months=policy.months,
            round_up_to=policy.round_up_to,
            clear_month=policy.clear_month,
            clear_day=policy.clear_day,
            years_after=policy.years_after,
            idle_months=policy.idle_months,
            exempt_tiers=list(policy.exempt_tiers),
        )

    @resolved("The unit of points that it is for, by its code; null: all that have none of their "
              "own.")  # fmt: skip
    async def unit(self, info: Info) -> str | None:
        """Return the unit's code."""
        if self.unit_id is None:
            return None
        return (await info.context.load.policies()).unit_by_id(self.unit_id).code


async def earning_terms(context: Context) -> list[EarningTerms]:
    """Return the versions of earning rules that the caller may see."""
    require(context.principal, *EVERYBODY)
    return [
        EarningTerms.of(row)
        for row in await context.load.earning_rules()
        if row.effective_from <= context.now or await knows(context, row.business_id)
    ]


async def expiry_terms(context: Context) -> list[ExpiryTerms]:
    """Return the versions of expiry policies that the caller may see."""
    ahead = await knows(context, None)
    kept = (await context.load.policies()).expiries
    return [
        ExpiryTerms.of(unit_id, since, policy)
        for unit_id in sorted(kept, key=lambda one: one or 0)
        for since, policy in kept[unit_id]
        if ahead or since <= context.now
    ]


@strawberry.type(description="The group's membership programme.")
class Programme:
    """The group itself."""

    name: str = strawberry.field(description="The programme's name.")
    time_zone: str = strawberry.field(
        description="IANA zone that decides when a day, a month and a point end."
    )
    currency: str = strawberry.field(description="ISO 4217 currency the group reports in.")

    @resolved(
        "What businesses grant for what they sell, version by version, the newest first. For "
        "everybody who is signed in."
    )
    async def earning_rules(self, info: Info) -> list[EarningTerms]:
        """Return the versions that the caller may see."""
        return await earning_terms(info.context)

    @resolved(
        "When points end, version by version, the newest first. For everybody who is signed in."
    )
    async def expiry_policies(self, info: Info) -> list[ExpiryTerms]:
        """Return the versions that the caller may see."""
        return await expiry_terms(info.context)

    @resolved(
        "The ladders of tiers, the group's first, and what they ask for. For everybody who is "
        "signed in."
    )
    async def ladders(self, info: Info) -> list[LadderTerms]:
        """Return the ladders."""
        return await ladder_terms(info.context)


@strawberry.type
class ProgrammeQuery:
    """Reads of the programme."""

    @resolved("The programme. Anybody may ask, signed in or not.")
    async def programme(self, info: Info) -> Programme:
        """Return the group's own row."""
        row = await info.context.load.programme()
        return Programme(name=row.name, time_zone=row.time_zone, currency=row.currency)
