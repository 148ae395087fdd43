"""Agreements: what an issuer pays an acceptor, version by version; and how full a house was."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.access import (
    OCCUPANCY_STATERS,
    require,
    visible_business,
)
from graphql_schema.context import Info
from graphql_schema.fields import Given, resolved
from graphql_schema.programme import Business
from graphql_schema.recognition import own_id
from graphql_schema.rejections import Forbidden, InvalidInput, unfit
from graphql_schema.scalars import Long
from hub import errors
from hub.programme import agreements as programme
from hub.settlement.codes import LineKind
from hub.settlement.credit import Standing, standings
from hub.settlement.state_occupancy import state_occupancy


@strawberry.type(description="A price that some redemptions have instead of the rate per point.")
class AgreementRate:
    """A rate of an agreement. An award goes before a category, and that before occupancy."""

    award: str | None = strawberry.field(description="Of redemptions of this award.")
    category: str | None = strawberry.field(description="Of redemptions of this category.")
    from_percent: int | None = strawberry.field(
        description="On days on which at least so many of a hundred rooms were taken, up to the "
        "next band."
    )
    rate_per_point: Decimal | None = strawberry.field(description="Major units per point, exact.")
    amount: Decimal | None = strawberry.field(
        description="Major units for the whole redemption, shared by its lots."
    )


@strawberry.type(description="How lines of one kind are taxed.")
class AgreementTax:
    """A tax of an agreement."""

    kind: str = strawberry.field(description="The kind of line: redemption, issue, benefit ….")
    code: str = strawberry.field(description="The tax's code.")
    rate: Decimal = strawberry.field(description="A fraction: 0.06 is 6%.")
    included: bool = strawberry.field(description="Whether what is agreed contains the tax.")


@strawberry.type(description="A version of what an issuer pays an acceptor. It is never edited.")
class Agreement:
    """An agreement's version."""

    row: strawberry.Private[programme.Agreement]
    effective_from: date = strawberry.field(description="The first business date it holds for.")
    superseded_on: date | None = strawberry.field(
        description="The first business date it does not hold for any more; null: until further."
    )
    basis: str = strawberry.field(
        description="at_redemption: paid per point redeemed; at_issue: per point issued, to the "
        "company that owes it from then on; hybrid: paid ahead per point issued, and redemptions "
        "draw on that first."
    )
    rate_per_point: Decimal | None = strawberry.field(
        description="Major units per point, exact; null: what each lot cost its issuer."
    )
    currency: str = strawberry.field(description="ISO 4217 currency of all its amounts.")
    breakage_owner: str | None = strawberry.field(
        description="At issue, who keeps the price of points that expire: issuer or programme."
    )
    occupancy_required: bool = strawberry.field(
        description="Whether a close waits for each day's occupancy."
    )
    cap_points: int | None = strawberry.field(
        graphql_type=Long | None, description="Points of a period that are paid for at most."
    )
    cap_amount: Decimal | None = strawberry.field(
        description="Major units that redemptions of a period come to at most."
    )
    credit_limit: Decimal | None = strawberry.field(
        description="Major units that may be owed before they are paid."
    )
    alert_percent: int = strawberry.field(
        description="From how many per cent of the limit on finance is alerted."
    )
    stops_at_limit: bool = strawberry.field(
        description="Whether the acceptor takes no more of the issuer's points at the limit."
    )
    prefund_per_point: Decimal | None = strawberry.field(
        description="Hybrid: major units paid ahead per point issued, net of what is taken back."
    )

    @resolved("The business that pays.")
    async def issuer(self, info: Info) -> Business:
        """Return the issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @resolved("The business that is paid.")
    async def acceptor(self, info: Info) -> Business:
        """Return the acceptor."""
        return Business.of(await info.context.business(self.row.acceptor_id))

    @resolved("Prices by award, category and occupancy.")
    def rates(self) -> list[AgreementRate]:
        """Return the version's rates."""
        return [
            AgreementRate(
                award=rate.award,
                category=rate.category,
                from_percent=rate.from_percent,
                rate_per_point=rate.rate_per_point,
                amount=rate.amount,
            )
            for rate in self.row.rates
        ]

    @resolved("How its lines are taxed; those of a kind that is not named bear no tax.")
    def taxes(self) -> list[AgreementTax]:
        """Return the version's taxes."""
        return [
            AgreementTax(
                kind=LineKind(tax.kind).name.lower(),
                code=tax.tax_code,
                rate=tax.tax_rate,
                included=tax.tax_included,
            )
            for tax in self.row.taxes
        ]

    @classmethod
    def of(cls, row: programme.Agreement) -> "Agreement":
        """Show a version."""
        return cls(
            row=row,
            effective_from=row.effective_from,
            superseded_on=row.superseded_on,
            basis=row.basis,
            rate_per_point=row.rate_per_point,
            currency=row.currency,
            breakage_owner=row.breakage_owner,
            occupancy_required=row.occupancy_required,
            cap_points=row.cap_points,
            cap_amount=row.cap_amount,
            credit_limit=row.credit_limit,
            alert_percent=row.alert_percent,
            stops_at_limit=row.on_limit == "stop",
            prefund_per_point=row.prefund_per_point,
        )


@strawberry.enum(description="How far a credit limit is used.")
class CreditState(Enum):
    """The states of a limit."""

    FINE = strawberry.enum_value("fine", description="Far enough from it.")
    ALERT = strawberry.enum_value("alert", description="Near it.")
    OVER = strawberry.enum_value("over", description="At or over it.")
    STOPPED = strawberry.enum_value(
        "stopped", description="At or over it, and the acceptor takes no more of these points."
    )


@strawberry.type(description="What an issuer owes an acceptor, settled or not, against its limit.")
class CreditStanding:
    """How far a credit limit is used, as it was looked at last."""

    row: strawberry.Private[Standing]
    exposure: Decimal = strawberry.field(
        description="Major units: what is stated and not paid, and an estimate of what is not "
        "settled yet."
    )
    credit_limit: Decimal = strawberry.field(description="Major units that may be owed.")
    currency: str = strawberry.field(description="ISO 4217 currency of both.")
    state: CreditState = strawberry.field(description="How far the limit is used.")
    since: datetime = strawberry.field(description="Since when it has been so.")
    looked_at: datetime = strawberry.field(description="When it was looked at last.")

    @resolved("The business that owes.")
    async def issuer(self, info: Info) -> Business:
        """Return the issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @resolved("The business that is owed.")
    async def acceptor(self, info: Info) -> Business:
        """Return the acceptor."""
        return Business.of(await info.context.business(self.row.acceptor_id))

    @classmethod
    def of(cls, row: Standing) -> "CreditStanding":
        """Show a standing."""
        return cls(
            row=row,
            exposure=row.exposure,
            credit_limit=row.credit_limit,
            currency=row.currency,
            state=CreditState(row.state),
            since=row.since,
            looked_at=row.looked_at,
        )


@strawberry.input(description="How full a house was on a trading day.")
class StateOccupancyInput:
    """An occupancy."""

    business: str = strawberry.field(description="The business's code.")
    day: date = strawberry.field(description="The trading day.")
    percent: Decimal = strawberry.field(
        description="How many of a hundred rooms were taken, with two decimals at most."
    )


@strawberry.type(description="The occupancy is kept.")
class OccupancyStated:
    """What is kept."""

    business: Business = strawberry.field(description="The business.")
    day: date = strawberry.field(description="The trading day.")
    percent: Decimal = strawberry.field(description="How many of a hundred rooms were taken.")


OccupancyResult = Annotated[
    OccupancyStated | InvalidInput | Forbidden,
    strawberry.union("OccupancyResult", description="What came of stating an occupancy."),
]


@strawberry.type
class AgreementQuery:
    """Reads of agreements."""

    @resolved("Every version of every agreement, by pair, the oldest first. A business sees those "
              "that it is a side of.")  # fmt: skip
    async def agreements(self, info: Info) -> list[Agreement]:
        """Return the versions that the caller may see."""
        own = await own_id(info.context)
        async with info.context.reading() as db:
            return [Agreement.of(row) for row in await programme.agreements(db, business_id=own)]

    @resolved("How far each credit limit is used, the fullest first. A business sees those that it "
              "is a side of.")  # fmt: skip
    async def credit_standings(self, info: Info) -> list[CreditStanding]:
        """Return the standings that the caller may see."""
        own = await own_id(info.context)
        async with info.context.reading() as db:
            return [CreditStanding.of(row) for row in await standings(db, business_id=own)]


@strawberry.type
class AgreementMutation:
    """What agreements are applied to."""

    @resolved("State a trading day's occupancy, by which agreements may price redemptions. For the "
              "business itself and for staff; what is stated last holds for what is not yet "
              "settled.")  # fmt: skip
    async def state_occupancy(
        self,
        info: Info,
        input: Given[StateOccupancyInput],  # noqa: A002
    ) -> OccupancyResult:
        """State and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *OCCUPANCY_STATERS)
            code = visible_business(caller, asked=input.business)
            business = await context.business_by_code(code)
            async with context.writing() as db:
                await state_occupancy(
                    db,
                    business_id=business.business_id,
                    day=input.day,
                    percent=input.percent,
                    actor=caller.subject,
                    now=context.now,
                )
        except errors.NotFound:
            return InvalidInput(field="business", message="there is no such business")
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        return OccupancyStated(business=Business.of(business), day=input.day, percent=input.percent)
