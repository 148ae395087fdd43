"""How points are accounted for: policies by issuer, and what is owed for points brought in."""

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, TypeVar

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import CLOSERS, require
from graphql_schema.context import Context, Info
from graphql_schema.desk import business_named
from graphql_schema.fields import Given, resolved
from graphql_schema.programme import Business
from graphql_schema.recognition import own_id
from graphql_schema.rejections import Forbidden, InvalidInput, Rejection, unfit
from hub import errors
from hub.accounting import policies
from hub.accounting.set_policy import set_policy
from hub.accounting.state_opening import state_opening

Said = TypeVar("Said")
DISCOUNT = "By which fraction goods are sold below their own price on average; points share it."
PORTFOLIO = "Recognised by the month in which points were earned (month), or together (all)."
SHARE = (
    "What fraction of the price must be for points: of fewer, they are no material right and "
    "nothing is deferred."
)
ROLE = (
    "The business's in what others supply for points, its partners or whom it sells them to at "
    "issue: principal, who shows their cost, or agent, who takes it off revenue."
)


@strawberry.input(description="How an issuer's points are accounted for, from a month on.")
class SetAccountingPolicyInput:
    """A version of a policy."""

    business: str = strawberry.field(description="Whose points: their issuer's code.")
    effective_from: date = strawberry.field(
        description="Of points earned from this month on, by its first day."
    )
    point_value: Decimal = strawberry.field(
        description="What a redeemed point is worth, in major units of the issuer's currency."
    )
    role: str = strawberry.field(default="principal", description=ROLE)
    goods_discount: Decimal = strawberry.field(default=Decimal(0), description=DISCOUNT)
    least_share: Decimal = strawberry.field(default=Decimal(0), description=SHARE)
    portfolio: str = strawberry.field(default="month", description=PORTFOLIO)


@strawberry.input(description="What an issuer owes for the points that it brings.")
class StateOpeningLiabilityInput:
    """A liability from the books before."""

    business: str = strawberry.field(description="Whose points: their issuer's code.")
    amount: str = strawberry.field(description="In major units of its currency: 396.00.")
    reason: str = strawberry.field(description="Where it is from; it is kept.")


@strawberry.type(description="A version of how an issuer's points are accounted for.")
class AccountingPolicy:
    """It holds for points earned from a month on."""

    row: strawberry.Private[policies.AccountingPolicy]
    effective_from: date = strawberry.field(description="The first day of that month.")
    point_value: Decimal = strawberry.field(
        description="What a redeemed point is worth, in major units of the issuer's currency."
    )
    role: str = strawberry.field(description=ROLE)
    goods_discount: Decimal = strawberry.field(description=DISCOUNT)
    least_share: Decimal = strawberry.field(description=SHARE)
    portfolio: str = strawberry.field(description=PORTFOLIO)
    actor: str = strawberry.field(description="Who said so.")
    set_at: datetime = strawberry.field(description="When.")

    @resolved("Whose points.")
    async def issuer(self, info: Info) -> Business:
        """Return the issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @classmethod
    def of(cls, row: policies.AccountingPolicy) -> "AccountingPolicy":
        """Show a policy."""
        return cls(
            row=row,
            effective_from=row.effective_from,
            point_value=row.point_value,
            role=row.role,
            goods_discount=row.goods_discount,
            least_share=row.least_share,
            portfolio=row.portfolio,
            actor=row.actor,
            set_at=row.set_at,
        )


@strawberry.type(description="The policy stands as it says.")
class AccountingPolicySet:
    """What became of a policy."""

    policy: AccountingPolicy = strawberry.field(description="The version.")


@strawberry.type(description="The liability that is brought is stated.")
class OpeningLiabilityStated:
    """What became of it."""

    amount: Decimal = strawberry.field(description="In major units.")


@strawberry.type(description="What is said cannot be, or no longer: something else stands already.")
class AccountingStands(Rejection):
    """Nothing was stored."""


AccountingPolicyResult = Annotated[
    AccountingPolicySet | AccountingStands | InvalidInput | Forbidden,
    strawberry.union("AccountingPolicyResult", description="What came of a policy."),
]
OpeningLiabilityResult = Annotated[
    OpeningLiabilityStated | AccountingStands | InvalidInput | Forbidden,
    strawberry.union("OpeningLiabilityResult", description="What came of a liability."),
]


@strawberry.type
class AccountingPolicyQuery:
    """How points are accounted for."""

    @resolved("How each issuer's points are accounted for, by date. For finance and staff; a "
              "business sees its own.")  # fmt: skip
    async def accounting_policies(self, info: Info) -> list[AccountingPolicy]:
        """Return the versions that the caller may see."""
        own = await own_id(info.context)
        async with info.context.reading() as db:
            found = await policies.policies(db)
        rows = [row for versions in found.values() for row in versions]
        return [AccountingPolicy.of(r) for r in rows if own in (None, r.issuer_id)]


@strawberry.type
class AccountingPolicyMutation:
    """What finance says before anything is recognised."""

    @resolved("Say how an issuer's points are accounted for, from a month on. For finance; the "
              "same again is one, and what is recognised stays.")  # fmt: skip
    async def set_accounting_policy(
        self,
        info: Info,
        input: Given[SetAccountingPolicyInput],  # noqa: A002
    ) -> AccountingPolicyResult:
        """Set and commit, or answer why not."""
        context = info.context
        try:
            require(context.principal, *CLOSERS)
            issuer_id = (await business_named(context, input.business)).business_id
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)

        async def do(db: AsyncConnection, actor: str) -> policies.AccountingPolicy:
            return await set_policy(
                db,
                issuer_id=issuer_id,
                effective_from=input.effective_from,
                point_value=input.point_value,
                role=input.role,
                goods_discount=input.goods_discount,
                least_share=input.least_share,
                portfolio=input.portfolio,
                actor=actor,
                now=context.now,
            )

        made = await _said(context, do)
        if isinstance(made, policies.AccountingPolicy):
            return AccountingPolicySet(policy=AccountingPolicy.of(made))
        return made

    @resolved("State what an issuer owes for the points that it brings, before they are "
              "recognised. For finance; the same again is one.")  # fmt: skip
    async def state_opening_liability(
        self,
        info: Info,
        input: Given[StateOpeningLiabilityInput],  # noqa: A002
    ) -> OpeningLiabilityResult:
        """State and commit, or answer why not."""
        context = info.context
        try:
            require(context.principal, *CLOSERS)
            issuer_id = (await business_named(context, input.business)).business_id
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)

        async def do(db: AsyncConnection, actor: str) -> Decimal:
            return await state_opening(
                db,
                issuer_id=issuer_id,
                amount=input.amount,
                actor=actor,
                reason=input.reason,
                now=context.now,
            )

        made = await _said(context, do)
        return OpeningLiabilityStated(amount=made) if isinstance(made, Decimal) else made


async def _said(
    context: Context, do: Callable[[AsyncConnection, str], Awaitable[Said]]
) -> Said | AccountingStands | InvalidInput | Forbidden:
    """Let finance say something and commit, or return why not."""
    try:
        caller = require(context.principal, *CLOSERS)
        async with context.writing() as db:
            return await do(db, caller.subject)
    except (errors.Rejected, errors.Conflict, errors.NotFound) as no:
        return AccountingStands(message=no.message)
    except (errors.Malformed, errors.Forbidden) as no:
        return unfit(no)
