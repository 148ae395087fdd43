"""Closing periods: finance asks, waives with a reason, approves as a second person, issues."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import CLOSERS, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.rejections import Forbidden, InvalidInput, Rejection, unfit
from graphql_schema.settlement import SettlementPeriod
from hub import errors
from hub.closing.ask_close import ask_close
from hub.jobs.changes import period_key
from hub.settlement.approve_period import approve_period
from hub.settlement.issue_period import issue_period
from hub.settlement.queries import Period, period_by_code
from hub.settlement.waive_check import waive_check

PERIOD = "The period's code: 2026-11 or 2026-11-03."


@strawberry.input(description="A period to check and, if nothing stops it, to close.")
class ClosePeriodInput:
    """A request for a close."""

    period: str = strawberry.field(description=PERIOD)
    early: bool = strawberry.field(
        default=False,
        description="Close before its last day is over: what comes later lands in the next period.",
    )


@strawberry.input(description="What a check found and a period may be closed in spite of.")
class WaiveCheckInput:
    """A waiver."""

    period: str = strawberry.field(description=PERIOD)
    check: str = strawberry.field(description="The check's code.")
    reason: str = strawberry.field(description="Why; it is kept.")


@strawberry.input(description="A period to move on.")
class MovePeriodInput:
    """A step."""

    period: str = strawberry.field(description=PERIOD)
    note: str | None = strawberry.field(default=None, description="What to keep with it.")


@strawberry.type(description="The period stands as it says.")
class PeriodMoved:
    """What became of a period."""

    period: SettlementPeriod = strawberry.field(description="The period, as it stands now.")


@strawberry.type(description="There is no such period, or no such check of it.")
class PeriodUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The period does not stand so that this could be done.")
class PeriodNotReady(Rejection):
    """Nothing was stored."""


PeriodResult = Annotated[
    PeriodMoved | PeriodUnknown | PeriodNotReady | InvalidInput | Forbidden,
    strawberry.union("PeriodResult", description="What came of moving a period on."),
]


@strawberry.type
class ClosingMutation:
    """How finance closes a period."""

    @resolved("Have a period checked and closed by a worker: it is a draft soon, or its checks say "
              "what stops it. For finance; of a closed period nothing is asked.")  # fmt: skip
    async def close_period(
        self,
        info: Info,
        input: Given[ClosePeriodInput],  # noqa: A002
    ) -> PeriodResult:
        """Ask and commit, or answer why not."""
        return await moved(
            info.context,
            lambda db, actor: ask_close(
                db, code=input.period, actor=actor, early=input.early, now=info.context.now
            ),
        )

    @resolved("Let a period be closed in spite of what a check last found, and of nothing that it "
              "finds later. For finance.")  # fmt: skip
    async def waive_check(
        self,
        info: Info,
        input: Given[WaiveCheckInput],  # noqa: A002
    ) -> PeriodResult:
        """Waive and commit, or answer why not."""

        async def waive(db: AsyncConnection, actor: str) -> Period:
            period = await period_by_code(db, input.period)
            await waive_check(
                db,
                period_id=period.period_id,
                code=input.check,
                reason=input.reason,
                actor=actor,
                now=info.context.now,
            )
            return period

        return await moved(info.context, waive)

    @resolved("Agree with what a close says. For finance, and not for who asked for the close; to "
              "approve twice is to approve once.")  # fmt: skip
    async def approve_period(
        self,
        info: Info,
        input: Given[MovePeriodInput],  # noqa: A002
    ) -> PeriodResult:
        """Approve and commit, or answer why not."""

        async def approve(db: AsyncConnection, actor: str) -> Period:
            period = await period_by_code(db, input.period)
            return await approve_period(
                db,
                period_id=period.period_id,
                actor=actor,
                note=input.note,
                now=info.context.now,
            )

        return await moved(info.context, approve)

    @resolved("Issue an approved period's statements: they are what the businesses pay by. For "
              "finance; to issue twice is to issue once.")  # fmt: skip
    async def issue_period(
        self,
        info: Info,
        input: Given[MovePeriodInput],  # noqa: A002
    ) -> PeriodResult:
        """Issue and commit, or answer why not."""

        async def issue(db: AsyncConnection, actor: str) -> Period:
            period = await period_by_code(db, input.period)
            return await issue_period(
                db,
                period_id=period.period_id,
                actor=actor,
                note=input.note,
                now=info.context.now,
            )

        return await moved(info.context, issue)


async def moved(
    context: Context, move: Callable[[AsyncConnection, str], Awaitable[Period]]
) -> PeriodResult:
    """Let finance do something to a period and commit, or answer why not."""
    try:
        caller = require(context.principal, *CLOSERS)
        async with context.writing() as db:
            period = await move(db, caller.subject)
            context.changed(period_key(period.period_id))
    except errors.NotFound as unknown:
        return PeriodUnknown(message=unknown.message)
    except errors.Rejected as no:
        return PeriodNotReady(message=no.message)
    except (errors.Malformed, errors.Forbidden) as no:
        return unfit(no)
    return PeriodMoved(period=SettlementPeriod.of(period))
