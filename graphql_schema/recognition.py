"""What is owed for points: roll-forwards, allocations, ageing, sensitivity, estimates."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from graphql_schema.access import SETTLEMENT_READERS, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import count, resolved
from graphql_schema.money import Money
from graphql_schema.programme import Business
from hub.accounting.ageing import Aged
from hub.accounting.allocations import allocated
from hub.accounting.estimates import Estimate
from hub.accounting.movements import Allocation, CohortState, Movement, RollForward
from hub.accounting.policies import policies
from hub.accounting.recognition import decimal, expected_points
from hub.accounting.roll_forward import rolled
from hub.accounting.sales import sales
from hub.accounting.sensitivity import Sensitivity, checked, sensitivities
from hub.accounting.standing import Standing

NOT_YET = (
    "Of a period that is closed but not recognised they are what recognition would say now; none "
    "where that cannot be told: `unreckoned` says why."
)


@strawberry.type(description="A line of a roll-forward.")
class LiabilityMovement:
    """Why a liability changed."""

    kind: str = strawberry.field(
        description="opening, brought_in, deferred, redeemed, reinstated, expired, clawback, "
        "catch_up, breakage, adjusted or closing."
    )
    points: int = count("Points; positive where more are owed.")
    amount: Money = strawberry.field(
        description="Money, rounded so that the lines add up; positive where more is owed."
    )
    exact: Decimal = strawberry.field(description="The same before rounding, in major units.")
    partner_points: int = count("Of the points, those that another business took or gave back.")
    partner_amount: Money = strawberry.field(description="Of the money, what is of these.")

    @classmethod
    def of(cls, row: Movement, currency: str) -> "LiabilityMovement":
        """Show a movement."""
        return cls(
            kind=row.kind.value,
            points=row.points,
            amount=Money(amount_minor=row.minor, currency=currency),
            exact=row.amount,
            partner_points=row.partner_points,
            partner_amount=Money(amount_minor=row.partner_minor, currency=currency),
        )


@strawberry.type(description="How what a business owes for points went through a period.")
class LiabilityRollForward:
    """From opening to closing, with the proof."""

    row: strawberry.Private[RollForward]
    recognised: bool = strawberry.field(description="Whether it stands.")
    movements: list[LiabilityMovement] = strawberry.field(
        description="From the opening to the closing, which all between them make up."
    )
    expected_points: Decimal = strawberry.field(
        description="The proof: how many points are still expected to be redeemed …"
    )
    proof: Money = strawberry.field(description="… and what they are worth: the closing.")
    proof_exact: Decimal = strawberry.field(description="The same before rounding, in major units.")

    @resolved("Who owes the points: their issuer, or the company that sold them to it.")
    async def owner(self, info: Info) -> Business:
        """Return the owner."""
        return Business.of(await info.context.business(self.row.owner_id))

    @resolved("The unit of the points.")
    async def unit(self, info: Info) -> str:
        """Return the unit's code."""
        return (await info.context.load.policies()).unit_by_id(self.row.unit).code

    @classmethod
    def of(cls, row: RollForward) -> "LiabilityRollForward":
        """Show a roll-forward."""
        return cls(
            row=row,
            recognised=row.recognised,
            movements=[LiabilityMovement.of(one, row.currency) for one in row.movements],
            expected_points=row.proof.expected_points,
            proof=Money(amount_minor=row.proof.minor, currency=row.currency),
            proof_exact=row.proof.amount,
        )


@strawberry.type(description="How the price of what an issuer sold was shared.")
class PriceAllocation:
    """Between goods and points, and back in refunds."""

    row: strawberry.Private[Allocation]
    role: str = strawberry.field(
        description="The issuer's, in what others supply for its points: principal or agent."
    )
    points: int = count("Points that were earned.")
    price: Money = strawberry.field(
        description="What was sold for them, net of tax and of what was paid in points."
    )
    to_goods: Money = strawberry.field(description="Revenue at once.")
    to_points: Money = strawberry.field(
        description="Deferred until they are redeemed, or paid to who owes them."
    )
    refunded: Money = strawberry.field(description="What of it was refunded, and took points back.")
    refunded_to_points: Money = strawberry.field(description="What of that came off what is owed.")
    to_points_exact: Decimal = strawberry.field(
        description="What is deferred, before rounding, in major units."
    )

    @resolved("The business that sold and gave the points.")
    async def issuer(self, info: Info) -> Business:
        """Return the issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @resolved("Who owes the points.")
    async def owner(self, info: Info) -> Business:
        """Return the owner."""
        return Business.of(await info.context.business(self.row.owner_id))

    @classmethod
    def of(cls, row: Allocation) -> "PriceAllocation":
        """Show an allocation."""
        price, points, refunded, back = (
            Money(amount_minor=minor, currency=row.currency)
            for minor in (
                row.price_minor,
                row.to_points_minor,
                row.refunded_minor,
                row.refunded_to_points_minor,
            )
        )
        goods = Money(amount_minor=row.price_minor - row.to_points_minor, currency=row.currency)
        return cls(
            row=row,
            role=row.role,
            points=row.points,
            price=price,
            to_goods=goods,
            to_points=points,
            refunded=refunded,
            refunded_to_points=back,
            to_points_exact=row.to_points,
        )


@strawberry.type(description="How the points that an issuer granted in a month stand.")
class LiabilityCohort:
    """What a roll-forward's closing is made of. Exact, in major units."""

    row: strawberry.Private[CohortState]
    cohort: date = strawberry.field(description="The month, by its first day.")
    currency: str = strawberry.field(description="ISO 4217 currency of the amounts.")
    issued: int = count("Points granted, less those that refunds took back.")
    redeemed: int = count("Of them redeemed, less those given back.")
    outstanding: int = count("Of them left.")
    rate: Decimal = strawberry.field(
        description="How many of those granted are expected to be redeemed."
    )
    expected_points: Decimal = strawberry.field(
        description="How many more are expected to be redeemed."
    )
    allocated: Decimal = strawberry.field(description="What was paid for the points.")
    liability: Decimal = strawberry.field(description="What of that is owed; the rest is revenue.")

    @resolved("Who granted the points.")
    async def issuer(self, info: Info) -> Business:
        """Return the issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @resolved("Who owes them.")
    async def owner(self, info: Info) -> Business:
        """Return the owner."""
        return Business.of(await info.context.business(self.row.owner_id))

    @classmethod
    def of(cls, row: CohortState) -> "LiabilityCohort":
        """Show a cohort."""
        return cls(
            row=row,
            cohort=row.cohort,
            currency=row.currency,
            issued=row.issued,
            redeemed=row.redeemed,
            outstanding=row.outstanding,
            rate=row.rate,
            expected_points=decimal(expected_points(row)),
            allocated=row.allocated,
            liability=row.liability,
        )


@strawberry.type(description="What would be owed if the estimates were off.")
class LiabilitySensitivity:
    """The liability, and the two beside it. Exact, in major units."""

    row: strawberry.Private[Sensitivity]
    currency: str = strawberry.field(description="ISO 4217 currency of the amounts.")
    liability: Decimal = strawberry.field(description="What is owed.")
    if_fewer: Decimal = strawberry.field(description="If fewer of the points are redeemed.")
    if_more: Decimal = strawberry.field(description="If more of them are.")

    @resolved("Who owes the points.")
    async def owner(self, info: Info) -> Business:
        """Return the owner."""
        return Business.of(await info.context.business(self.row.owner_id))

    @classmethod
    def of(cls, row: Sensitivity) -> "LiabilitySensitivity":
        """Show a sensitivity."""
        return cls(
            row=row,
            currency=row.currency,
            liability=row.liability,
            if_fewer=row.if_fewer,
            if_more=row.if_more,
        )


@strawberry.type(description="Points that end within some months.")
class LiabilityAge:
    """A bucket of an issuer's points."""

    row: strawberry.Private[Aged]
    within_months: int | None = strawberry.field(
        description="Before how many months are over, and not in a smaller bucket; 0: later than "
        "all buckets; null: never."
    )
    points: int = count("Points that members have now.")
    amount: Decimal | None = strawberry.field(
        description="What was owed for them when last recognised, exact, in major units; null "
        "where some were earned since."
    )

    @resolved("Who granted the points.")
    async def issuer(self, info: Info) -> Business:
        """Return the issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @classmethod
    def of(cls, row: Aged) -> "LiabilityAge":
        """Show a bucket."""
        return cls(row=row, within_months=row.within_months, points=row.points, amount=row.amount)


@strawberry.type(description="How many of an issuer's points are expected to be redeemed.")
class RedemptionEstimate:
    """A version of an estimate."""

    row: strawberry.Private[Estimate]
    number: int = count("Its number.")
    cohort: date | None = strawberry.field(
        description="Of the points earned in this month, by its first day; null: of every month "
        "without an estimate of its own."
    )
    effective_from: date = strawberry.field(description="In force from then on, once approved.")
    rate: Decimal = strawberry.field(description="A fraction of the points issued.")
    low: Decimal | None = strawberry.field(description="With 95 of 100, not below this.")
    high: Decimal | None = strawberry.field(description="With 95 of 100, not above this.")
    method: str = strawberry.field(description="stated, or history.")
    reason: str = strawberry.field(description="Why, in words.")
    state: str = strawberry.field(description="proposed, approved or rejected.")
    maker: str = strawberry.field(description="Who proposed it.")
    checker: str | None = strawberry.field(description="Who decided.")
    decided_at: datetime | None = strawberry.field(description="When.")
    verdict: str | None = strawberry.field(description="Why it was rejected.")

    @resolved("Whose points.")
    async def issuer(self, info: Info) -> Business:
        """Return the issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @classmethod
    def of(cls, row: Estimate) -> "RedemptionEstimate":
        """Show an estimate."""
        return cls(
            row=row,
            number=row.estimate_id,
            cohort=row.cohort,
            effective_from=row.effective_from,
            rate=row.rate,
            low=row.low,
            high=row.high,
            method=row.method,
            reason=row.reason,
            state=row.state,
            maker=row.maker,
            checker=row.checker,
            decided_at=row.decided_at,
            verdict=row.verdict,
        )


async def own_id(context: Context) -> int | None:
    """Return the business whose books alone the caller may see; None: those of all."""
    require(context.principal, *SETTLEMENT_READERS)
    return await context.own_business_id()


async def unreckoned(context: Context, period_id: int) -> str | None:
    """Return why what is owed for points cannot be told of a period; None: it can.

    What is missing may be other businesses': one of them is told only that it is not recognised.
    """
    own = await own_id(context)
    found = await context.load.liabilities.load(period_id)
    if not isinstance(found, str):
        return None
    return found if own is None else "the period is not recognised yet"


async def _standing(context: Context, period_id: int) -> tuple[int | None, Standing | None]:
    """Return whose books alone the caller may see, and where liabilities stand, if it is known."""
    own = await own_id(context)
    found = await context.load.liabilities.load(period_id)
    return own, None if isinstance(found, str) else found


async def roll_forwards_of(context: Context, period_id: int) -> list[LiabilityRollForward]:
    """Return a period's roll-forwards that the caller may see."""
    own, found = await _standing(context, period_id)
    rows = [] if found is None else rolled(found)
    return [LiabilityRollForward.of(row) for row in rows if own in (None, row.owner_id)]


async def allocations_of(context: Context, period_id: int) -> list[PriceAllocation]:
    """Return a period's allocations that the caller may see."""
    own, found = await _standing(context, period_id)
    if found is None:
        return []
    async with context.reading() as db:
        rows = allocated(found, await policies(db))
    return [PriceAllocation.of(row) for row in rows if own in (None, row.issuer_id, row.owner_id)]


async def cohorts_of(context: Context, period_id: int) -> list[LiabilityCohort]:
    """Return a period's cohorts that the caller may see."""
    own, found = await _standing(context, period_id)
    rows = [] if found is None else found.closing
    return [LiabilityCohort.of(row) for row in rows if own in (None, row.issuer_id, row.owner_id)]


async def sensitivity_of(
    context: Context, period_id: int, by: Decimal
) -> list[LiabilitySensitivity]:
    """Return a period's sensitivities that the caller may see; raises Malformed."""
    own, found = await _standing(context, period_id)
    checked(by)
    if found is None:
        return []
    async with context.reading() as db:
        rows = sensitivities(found, await sales(db), by=by)
    return [LiabilitySensitivity.of(row) for row in rows if own in (None, row.owner_id)]
