"""Settlement periods: who owes whom, from the net down to the line."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry import relay

from graphql_schema import disputes
from graphql_schema.access import (
    CLOSE_READERS,
    SETTLEMENT_READERS,
    require,
    visible_business,
)
from graphql_schema.context import Info
from graphql_schema.deprecated import replaced
from graphql_schema.disputes import Dispute, DisputesBy, OnlyDisputes, SettlementDue
from graphql_schema.fields import resolved
from graphql_schema.filters import once, ordered_page
from graphql_schema.life import CloseStep, PeriodCheck, PeriodEvent, PrefundBalance
from graphql_schema.money import Money
from graphql_schema.obligations import (
    ORDERS,
    Obligation,
    ObligationFilter,
    ObligationOrder,
    obligation_page,
)
from graphql_schema.pages import After, Before, Connection, First, Last
from graphql_schema.payments import Payment
from graphql_schema.programme import Business
from graphql_schema.recognition import (
    NOT_YET,
    LiabilityCohort,
    LiabilityRollForward,
    LiabilitySensitivity,
    PriceAllocation,
    allocations_of,
    cohorts_of,
    own_id,
    roll_forwards_of,
    sensitivity_of,
    unreckoned,
)
from graphql_schema.statements import Statement
from hub.crypto.tokens import Scope
from hub.errors import NotFound
from hub.settlement import queries
from hub.settlement.disputes import DISPUTES
from hub.settlement.netting import Bilateral, Net


@strawberry.type(description="The one amount that a business receives or pays for a period.")
class NetPosition:
    """A business's net over all others."""

    business_id: strawberry.Private[int]
    amount: Money = strawberry.field(
        description="Positive: the business receives; per currency all positions sum to zero."
    )

    @resolved("The business.")
    async def business(self, info: Info) -> Business:
        """Return whose position it is."""
        return Business.of(await info.context.business(self.business_id))

    @classmethod
    def of(cls, row: Net) -> "NetPosition":
        """Show a net position."""
        amount = Money(amount_minor=row.net_minor, currency=row.currency)
        return cls(business_id=row.business_id, amount=amount)


@strawberry.type(description="What is left between two businesses after setting off.")
class BilateralPosition:
    """A pair's position."""

    row: strawberry.Private[Bilateral]
    owed: Money = strawberry.field(description="What the debtor owes.")
    counter: Money = strawberry.field(description="What the creditor owes in turn, set off.")
    net: Money = strawberry.field(
        description="What the debtor pays: owed less counter, never negative."
    )

    @resolved("The business that pays.")
    async def debtor(self, info: Info) -> Business:
        """Return the debtor."""
        return Business.of(await info.context.business(self.row.debtor_id))

    @resolved("The business that receives.")
    async def creditor(self, info: Info) -> Business:
        """Return the creditor."""
        return Business.of(await info.context.business(self.row.creditor_id))

    @classmethod
    def of(cls, row: Bilateral) -> "BilateralPosition":
        """Show a pair's position."""
        owed, counter, net = (
            Money(amount_minor=minor, currency=row.currency)
            for minor in (row.owed_minor, row.counter_minor, row.net_minor)
        )
        return cls(row=row, owed=owed, counter=counter, net=net)


@strawberry.type(description="A month or a day that is settled as one.")
class SettlementPeriod(relay.Node):
    """A settlement period; a business sees its own part of it."""

    row: strawberry.Private[queries.Period]
    code: str = strawberry.field(description="A month as 2026-11 or a day as 2026-11-03.")
    starts_on: date = strawberry.field(description="The first business date.")
    ends_on: date = strawberry.field(description="The last business date, inclusive.")
    state: str = strawberry.field(
        description="open, closing, draft, approved, issued or paid; figures stand from draft on."
    )
    closed_at: datetime | None = strawberry.field(description="When it was closed.")

    @classmethod
    def resolve_id(cls, root: "SettlementPeriod", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return root.code

    @classmethod
    def of(cls, row: queries.Period) -> "SettlementPeriod":
        """Show a period."""
        return cls(
            row=row,
            code=row.code,
            starts_on=row.starts_on,
            ends_on=row.ends_on,
            state=row.state,
            closed_at=row.closed_at,
        )

    @resolved("What each business receives or pays.")
    async def net_positions(self, info: Info) -> list[NetPosition]:
        """Return the net positions that the caller may see."""
        own = await own_id(info.context)
        rows = await info.context.load.nets.load(self.row.period_id)
        return [NetPosition.of(row) for row in rows if own in (None, row.business_id)]

    @resolved("What is paid ahead under hybrid agreements, as the close left it.")
    async def prefunds(self, info: Info) -> list[PrefundBalance]:
        """Return the funds that the caller may see."""
        own = await own_id(info.context)
        rows = await info.context.load.funds.load(self.row.period_id)
        return [
            PrefundBalance.of(row) for row in rows if own in (None, row.debtor_id, row.creditor_id)
        ]

    @resolved("What is left between each two businesses.")
    async def bilateral(self, info: Info) -> list[BilateralPosition]:
        """Return the pairs that the caller may see."""
        own = await own_id(info.context)
        rows = await info.context.load.bilaterals.load(self.row.period_id)
        return [
            BilateralPosition.of(row)
            for row in rows
            if own in (None, row.debtor_id, row.creditor_id)
        ]

    @resolved("Who brought the period to each state since its close, in order. For finance and "
              "staff.")  # fmt: skip
    async def history(self, info: Info) -> list[PeriodEvent]:
        """Return the states that the period reached."""
        require(info.context.principal, *CLOSE_READERS)
        rows = await info.context.load.period_events.load(self.row.period_id)
        return [
            PeriodEvent(state=row.state, at=row.at, actor=row.actor, note=row.note) for row in rows
        ]

    @resolved("The steps of its close, done and to be done; empty before it begins. For finance "
              "and staff.")  # fmt: skip
    async def close_steps(self, info: Info) -> list[CloseStep]:
        """Return the steps in their order."""
        require(info.context.principal, *CLOSE_READERS)
        rows = await info.context.load.close_steps.load(self.row.period_id)
        return [CloseStep.of(row) for row in rows]

    @resolved("What was found when its close was last asked for; empty before. For finance and "
              "staff.")  # fmt: skip
    async def checks(self, info: Info) -> list[PeriodCheck]:
        """Return the checks, with their waivers."""
        require(info.context.principal, *CLOSE_READERS)
        rows = await info.context.load.period_checks.load(self.row.period_id)
        return [PeriodCheck.of(row) for row in rows]

    @resolved("What is paid for it, once it is prepared.")
    async def payments(self, info: Info) -> list[Payment]:
        """Return the payments that the caller may see."""
        own = await own_id(info.context)
        rows = await info.context.load.payments.load(self.row.period_id)
        return [Payment.of(row) for row in rows if own in (None, row.debtor_id, row.creditor_id)]

    @resolved("What is to be paid for it, once it is approved: totals less what is disputed.")
    async def dues(self, info: Info) -> list[SettlementDue]:
        """Return the dues that the caller may see."""
        own = await own_id(info.context)
        rows = await info.context.load.dues.load(self.row.period_id)
        return [
            SettlementDue.of(row) for row in rows if own in (None, row.debtor_id, row.creditor_id)
        ]

    @resolved("What was disputed of it, oldest first; a business sees what it is a side of.")
    async def disputes(
        self,
        info: Info,
        *,
        filter: OnlyDisputes = None,  # noqa: A002
        order_by: DisputesBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Dispute]:
        """Return a page of disputes."""
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, disputes.ORDERS, DISPUTES, **page)
        return await disputes.disputes_of(
            info.context, self.row.period_id, asked, only=filter, order=order
        )

    @resolved("The period's lines, by business date.")
    async def obligations(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            ObligationFilter | None, strawberry.argument(description="Only these lines.")
        ] = None,
        order_by: Annotated[
            ObligationOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the oldest first."),
        ] = None,
        business: Annotated[
            str | None,
            strawberry.argument(
                description="Only lines it owes or is owed.",
                deprecation_reason=replaced(since="2026-11-27", by="`filter.business`"),
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Obligation]:
        """Return a page of lines."""
        only = filter or ObligationFilter()
        once("business", business, only.business)
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(only, order_by, ORDERS, queries.LINES, **paging)
        if business is not None:
            only = replace(only, business=business)
        return await obligation_page(
            info.context, self.row.period_id, asked, only=only, order=order
        )

    @resolved("Why what is owed for points cannot be told of the period, such as that it is not "
              "closed; null: it can. A business is not told what is missing.")  # fmt: skip
    async def unreckoned(self, info: Info) -> str | None:
        """Return what is missing."""
        return await unreckoned(info.context, self.row.period_id)

    @resolved("How what is owed for points went through the period; a business sees its own. "
              + NOT_YET)  # fmt: skip
    async def roll_forwards(self, info: Info) -> list[LiabilityRollForward]:
        """Return the roll-forwards that the caller may see."""
        return await roll_forwards_of(info.context, self.row.period_id)

    @resolved("How the price of what was sold was shared between goods and points; a business "
              "sees its own. " + NOT_YET)  # fmt: skip
    async def price_allocations(self, info: Info) -> list[PriceAllocation]:
        """Return the allocations that the caller may see."""
        return await allocations_of(info.context, self.row.period_id)

    @resolved("What the closings are made of, by issuer and month of the points; a business sees "
              "its own. " + NOT_YET)  # fmt: skip
    async def liability_cohorts(self, info: Info) -> list[LiabilityCohort]:
        """Return the cohorts that the caller may see."""
        return await cohorts_of(info.context, self.row.period_id)

    @resolved("What would be owed if the estimates were off; a business sees its own. Where that "
              "cannot be told, `unreckoned` says why.")  # fmt: skip
    async def sensitivity(
        self,
        info: Info,
        by: Annotated[
            Decimal,
            strawberry.argument(
                description="By how much, as a fraction of the points issued: 0.05 is five points."
            ),
        ],
    ) -> list[LiabilitySensitivity]:
        """Return the sensitivities that the caller may see."""
        return await sensitivity_of(info.context, self.row.period_id, by)

    @resolved("A business's statement; null until the period is closed.")
    async def statement(
        self,
        info: Info,
        business: Annotated[str, strawberry.argument(description="The business's code.")],
    ) -> Statement | None:
        """Return a statement that the caller may see."""
        caller = require(info.context.principal, *SETTLEMENT_READERS)
        code = visible_business(caller, asked=business)
        business_id = (await info.context.business_by_code(code)).business_id
        try:
            async with info.context.reading() as db:
                row = await queries.statement(
                    db, period_id=self.row.period_id, business_id=business_id
                )
        except NotFound:
            return None
        return Statement.of(row, period=self.row.code, business=code)


async def period_node(info: Info, code: str) -> SettlementPeriod | None:
    """Find a period by its code."""
    require(info.context.principal, *SETTLEMENT_READERS, scope=Scope.SETTLEMENT_READ)
    try:
        async with info.context.reading() as db:
            return SettlementPeriod.of(await queries.period_by_code(db, code))
    except NotFound:
        return None
