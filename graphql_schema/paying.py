"""Paying: finance prepares what a period comes to, a second person releases it to the bank."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import CLOSERS, require
from graphql_schema.closing import PeriodNotReady, PeriodUnknown
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.payments import Payment
from graphql_schema.rejections import (
    Forbidden,
    IdempotencyConflict,
    InvalidInput,
    Rejection,
    refused,
    unfit,
)
from hub import errors
from hub.jobs.changes import period_key
from hub.settlement import payments
from hub.settlement.mark_paid import mark_paid
from hub.settlement.prepare_payments import prepare_payments
from hub.settlement.queries import period_by_code
from hub.settlement.release_payments import release_payments


@strawberry.input(description="A period whose payments are prepared or released.")
class PayPeriodInput:
    """A step."""

    period: str = strawberry.field(description="The period's code: 2026-11 or 2026-11-03.")


@strawberry.input(description="A payment that the bank says was made.")
class MarkPaidInput:
    """What the bank says."""

    end_to_end_id: str = strawberry.field(description="The payment's.")
    reference: str = strawberry.field(description="The bank's own reference; it is kept.")


@strawberry.type(description="The payments stand as they say.")
class PaymentsMoved:
    """What became of payments."""

    payments: list[Payment] = strawberry.field(description="The payments, as they stand now.")


@strawberry.type(description="There is no such payment.")
class PaymentUnknown(Rejection):
    """Nothing was stored."""


PaymentsResult = Annotated[
    PaymentsMoved | PeriodUnknown | PeriodNotReady | InvalidInput | Forbidden,
    strawberry.union("PaymentsResult", description="What came of moving payments on."),
]
MarkPaidResult = Annotated[
    PaymentsMoved
    | PaymentUnknown
    | PeriodNotReady
    | IdempotencyConflict
    | InvalidInput
    | Forbidden,
    strawberry.union("MarkPaidResult", description="What came of marking a payment as paid."),
]


@strawberry.type
class PayingMutation:
    """How finance pays a period."""

    @resolved("Prepare what an issued period's nets are paid by; somebody else releases it. For "
              "finance; to prepare twice is to prepare once.")  # fmt: skip
    async def prepare_payments(
        self,
        info: Info,
        input: Given[PayPeriodInput],  # noqa: A002
    ) -> PaymentsResult:
        """Prepare and commit, or answer why not."""
        today = await info.context.load.today()

        async def prepare(db: AsyncConnection, actor: str) -> list[payments.Payment]:
            period = await period_by_code(db, input.period)
            return await prepare_payments(
                db, period_id=period.period_id, actor=actor, today=today, now=info.context.now
            )

        return await _moved(info.context, prepare)

    @resolved("Release a period's payments to the bank. For finance, and not for who prepared "
              "them; to release twice is to release once.")  # fmt: skip
    async def release_payments(
        self,
        info: Info,
        input: Given[PayPeriodInput],  # noqa: A002
    ) -> PaymentsResult:
        """Release and commit, or answer why not."""

        async def release(db: AsyncConnection, actor: str) -> list[payments.Payment]:
            period = await period_by_code(db, input.period)
            return await release_payments(
                db, period_id=period.period_id, actor=actor, now=info.context.now
            )

        return await _moved(info.context, release)

    @resolved("Mark a released payment as paid; the last one makes its period paid. For finance.")
    async def mark_paid(
        self,
        info: Info,
        input: Given[MarkPaidInput],  # noqa: A002
    ) -> MarkPaidResult:
        """Mark and commit, or answer why not."""
        try:
            caller = require(info.context.principal, *CLOSERS)
            async with info.context.writing() as db:
                paid = await mark_paid(
                    db,
                    end_to_end_id=input.end_to_end_id,
                    reference=input.reference,
                    actor=caller.subject,
                    now=info.context.now,
                )
                info.context.changed(period_key(paid.period_id))
        except errors.NotFound as unknown:
            return PaymentUnknown(message=unknown.message)
        except errors.Rejected as no:
            return PeriodNotReady(message=no.message)
        except (errors.Conflict, errors.Malformed, errors.Forbidden) as no:
            return refused(no)
        return PaymentsMoved(payments=[Payment.of(paid)])


async def _moved(
    context: Context, move: Callable[[AsyncConnection, str], Awaitable[list[payments.Payment]]]
) -> PaymentsResult:
    try:
        caller = require(context.principal, *CLOSERS)
        async with context.writing() as db:
            moved = await move(db, caller.subject)
            for one in moved:
                context.changed(period_key(one.period_id))
    except errors.NotFound as unknown:
        return PeriodUnknown(message=unknown.message)
    except errors.Rejected as no:
        return PeriodNotReady(message=no.message)
    except (errors.Malformed, errors.Forbidden) as no:
        return unfit(no)
    return PaymentsMoved(payments=[Payment.of(one) for one in moved])
