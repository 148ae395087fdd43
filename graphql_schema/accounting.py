"""Accounting for points: estimates that a second person approves, and recognition."""

from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import CLOSERS, require
from graphql_schema.closing import PERIOD, PeriodResult, moved
from graphql_schema.context import Context, Info
from graphql_schema.desk import business_named
from graphql_schema.fields import Given, count, resolved
from graphql_schema.recognition import LiabilityAge, RedemptionEstimate, own_id
from graphql_schema.rejections import Forbidden, InvalidInput, Rejection, unfit
from hub import errors
from hub.accounting.ageing import ageing
from hub.accounting.approve_estimate import approve_estimate
from hub.accounting.estimates import Estimate, estimates
from hub.accounting.propose_estimate import propose_estimate
from hub.accounting.propose_from_history import propose_from_history
from hub.accounting.recognise import recognise
from hub.accounting.reject_estimate import reject_estimate
from hub.clock import business_date
from hub.programme.queries import programme
from hub.settlement.queries import Period, period_by_code


@strawberry.input(description="How many of an issuer's points are expected to be redeemed.")
class ProposeEstimateInput:
    """A proposal."""

    business: str = strawberry.field(description="Whose points.")
    effective_from: date = strawberry.field(description="From which day on.")
    rate: Decimal | None = strawberry.field(
        default=None,
        description="A fraction of the points issued; unsaid: by history, an estimate for each "
        "month in which points were earned.",
    )
    cohort: date | None = strawberry.field(
        default=None,
        description="Only of the points earned in this month, by its first day.",
    )
    reason: str = strawberry.field(default="stated", description="Why; it is kept.")


@strawberry.input(description="An estimate to let be in force.")
class ApproveEstimateInput:
    """An approval."""

    number: int = count("The estimate's number.")


@strawberry.input(description="An estimate to end without effect.")
class RejectEstimateInput:
    """A rejection by a person."""

    number: int = count("The estimate's number.")
    reason: str = strawberry.field(description="Why not.")


@strawberry.input(description="A closed period to recognise.")
class RecognisePeriodInput:
    """A recognition."""

    period: str = strawberry.field(description=PERIOD)


@strawberry.type(description="The estimates stand as they say.")
class Estimated:
    """What became of estimates."""

    estimates: list[RedemptionEstimate] = strawberry.field(description="As they stand now.")


@strawberry.type(description="There is no such estimate.")
class EstimateUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="This cannot be done with the estimate, or no longer.")
class EstimateStands(Rejection):
    """Nothing was stored."""


EstimateResult = Annotated[
    Estimated | EstimateUnknown | EstimateStands | InvalidInput | Forbidden,
    strawberry.union("EstimateResult", description="What came of an estimate."),
]


@strawberry.type
class AccountingQuery:
    """Reads of accounting that are of no period."""

    @resolved("How many points are expected to be redeemed, and what waits to be approved. For "
              "finance and staff; a business sees its own.")  # fmt: skip
    async def redemption_estimates(
        self,
        info: Info,
        business: Annotated[
            str | None, strawberry.argument(description="Only of this business's points.")
        ] = None,
    ) -> list[RedemptionEstimate]:
        """Return the estimates that the caller may see."""
        own = await own_id(info.context)
        ids = None if own is None else [own]
        if business is not None:
            asked = (await business_named(info.context, business)).business_id
            ids = [asked] if own in (None, asked) else []
        async with info.context.reading() as db:
            rows = await estimates(db, issuer_ids=ids)
        return [RedemptionEstimate.of(row) for row in rows]

    @resolved("In how many months the points that members have end. For finance and staff; a "
              "business sees its own.")  # fmt: skip
    async def liability_ageing(self, info: Info) -> list[LiabilityAge]:
        """Return the buckets that the caller may see."""
        own = await own_id(info.context)
        async with info.context.reading() as db:
            today = business_date(info.context.now, (await programme(db)).time_zone)
            rows = await ageing(db, on=today, issuer_id=own)
        return [LiabilityAge.of(row) for row in rows]


@strawberry.type
class AccountingMutation:
    """What finance does to the books."""

    @resolved("Propose how many points will be redeemed; somebody else approves. For finance. The "
              "same again, while it waits, is one.")  # fmt: skip
    async def propose_estimate(
        self,
        info: Info,
        input: Given[ProposeEstimateInput],  # noqa: A002
    ) -> EstimateResult:
        """Propose and commit, or answer why not."""
        context = info.context
        try:
            require(context.principal, *CLOSERS)
            issuer_id = (await business_named(context, input.business)).business_id
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)

        async def propose(db: AsyncConnection, actor: str) -> list[Estimate]:
            since = input.effective_from
            if input.rate is None and input.cohort is None:
                return await propose_from_history(
                    db, issuer_id=issuer_id, effective_from=since, maker=actor, now=context.now
                )
            if input.rate is None:
                raise errors.Malformed(
                    "history proposes for every month: say a rate for one", field="rate"
                )
            return [
                await propose_estimate(
                    db,
                    issuer_id=issuer_id,
                    rate=input.rate,
                    effective_from=since,
                    cohort=input.cohort,
                    maker=actor,
                    reason=input.reason,
                    now=context.now,
                )
            ]

        return await _estimated(context, propose)

    @resolved("Let an estimate be in force. For finance, and not for who proposed it; to approve "
              "twice is to approve once.")  # fmt: skip
    async def approve_estimate(
        self,
        info: Info,
        input: Given[ApproveEstimateInput],  # noqa: A002
    ) -> EstimateResult:
        """Approve and commit, or answer why not."""

        async def approve(db: AsyncConnection, actor: str) -> list[Estimate]:
            return [
                await approve_estimate(
                    db,
                    estimate_id=_numbered(input.number),
                    checker=actor,
                    now=info.context.now,
                )
            ]

        return await _estimated(info.context, approve)

    @resolved("End an estimate without effect. For finance.")
    async def reject_estimate(
        self,
        info: Info,
        input: Given[RejectEstimateInput],  # noqa: A002
    ) -> EstimateResult:
        """Reject and commit, or answer why not."""

        async def reject(db: AsyncConnection, actor: str) -> list[Estimate]:
            return [
                await reject_estimate(
                    db,
                    estimate_id=_numbered(input.number),
                    checker=actor,
                    verdict=input.reason,
                    now=info.context.now,
                )
            ]

        return await _estimated(info.context, reject)

    @resolved("Write down what a closed period makes of every liability for points: it stands. For "
              "finance; to recognise twice is to recognise once.")  # fmt: skip
    async def recognise_period(
        self,
        info: Info,
        input: Given[RecognisePeriodInput],  # noqa: A002
    ) -> PeriodResult:
        """Recognise and commit, or answer why not."""

        async def do(db: AsyncConnection, actor: str) -> Period:
            period = await period_by_code(db, input.period)
            await recognise(db, period_id=period.period_id, actor=actor, now=info.context.now)
            return period

        return await moved(info.context, do)


def _numbered(number: int) -> int:
    """Return the number of an estimate; raises NotFound for one that none can have."""
    if not 0 < number < 2**31:
        raise errors.NotFound(f"there is no estimate {number}", field="estimate")
    return number


async def _estimated(
    context: Context, do: Callable[[AsyncConnection, str], Awaitable[list[Estimate]]]
) -> EstimateResult:
    try:
        caller = require(context.principal, *CLOSERS)
        async with context.writing() as db:
            rows = await do(db, caller.subject)
    except errors.NotFound as unknown:
        return EstimateUnknown(message=unknown.message)
    except errors.Rejected as no:
        return EstimateStands(message=no.message)
    except (errors.Malformed, errors.Forbidden) as no:
        return unfit(no)
    return Estimated(estimates=[RedemptionEstimate.of(row) for row in rows])
