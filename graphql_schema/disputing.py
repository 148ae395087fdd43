"""Disputing: a business disputes lines of its statement, both sides speak, finance decides."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import CLOSERS, DISPUTERS, require
from graphql_schema.closing import PERIOD
from graphql_schema.context import Context, Info
from graphql_schema.deprecated import replaced
from graphql_schema.desk import business_named
from graphql_schema.disputes import (
    ORDERS,
    Dispute,
    DisputesBy,
    DisputeState,
    OnlyDisputes,
    dispute_page,
)
from graphql_schema.fields import Given, count, resolved
from graphql_schema.filters import ordered_page
from graphql_schema.pages import After, Before, Connection, First, Last
from graphql_schema.rejections import REFUSALS, Refused, Rejection, refused
from graphql_schema.scalars import Long
from hub import errors
from hub.crypto.tokens import Principal, Role
from hub.settlement.add_dispute_message import add_dispute_message
from hub.settlement.disputes import DISPUTES, dispute
from hub.settlement.open_dispute import open_dispute
from hub.settlement.queries import period_by_code
from hub.settlement.resolve_dispute import resolve_dispute
from hub.settlement.withdraw_dispute import withdraw_dispute

NUMBER = "The dispute's number."
KEY = "Chosen by the caller, once per request: the same again is one."
SIDE = "For which business; unsaid: the caller's own."


@strawberry.input(description="Lines that are said to be wrong.")
class OpenDisputeInput:
    """A dispute."""

    period: str = strawberry.field(description=PERIOD)
    lines: list[int] = strawberry.field(
        graphql_type=list[Long],
        description="The lines' numbers, up to 1000, all of one debtor, creditor and currency.",
    )
    reason: str = strawberry.field(description="Why; the other side reads it.")
    idempotency_key: str = strawberry.field(description=KEY)
    business: str | None = strawberry.field(default=None, description=SIDE)


@strawberry.input(description="Something to say in a dispute.")
class AddDisputeMessageInput:
    """A message."""

    dispute: int = count(NUMBER)
    body: str = strawberry.field(description="Up to 2000 characters.")
    idempotency_key: str = strawberry.field(description=KEY)
    business: str | None = strawberry.field(
        default=None, description="For which business; unsaid: the caller's own, or finance."
    )


@strawberry.input(description="A dispute to let go of.")
class WithdrawDisputeInput:
    """A withdrawal."""

    dispute: int = count(NUMBER)
    reason: str = strawberry.field(description="Why; it is kept.")
    business: str | None = strawberry.field(default=None, description=SIDE)


@strawberry.input(description="A dispute to decide.")
class ResolveDisputeInput:
    """A decision."""

    dispute: int = count(NUMBER)
    upheld: bool = strawberry.field(description="Whether the lines are wrong.")
    reason: str = strawberry.field(description="Why; it is kept.")


@strawberry.type(description="The dispute stands as it says.")
class Disputed:
    """What became of a dispute."""

    dispute: Dispute = strawberry.field(description="The dispute, as it stands now.")


@strawberry.type(
    description="There is no such dispute or period, or none that the caller knows of."
)
class DisputeUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The lines, or the dispute, do not stand so that this could be done.")
class DisputeStands(Rejection):
    """Nothing was stored."""


DisputeResult = Annotated[
    Disputed | DisputeUnknown | DisputeStands | Refused,
    strawberry.union("DisputeResult", description="What came of a dispute."),
]


@strawberry.type
class DisputeQuery:
    """Reads of disputes over all periods."""

    @resolved("Disputes of all periods, oldest first. For finance and staff; a business sees what "
              "it is a side of.")  # fmt: skip
    async def disputes(
        self,
        info: Info,
        *,
        filter: OnlyDisputes = None,  # noqa: A002
        order_by: DisputesBy = None,
        states: Annotated[
            list[DisputeState] | None,
            strawberry.argument(
                description="Only in these; unsaid: all.",
                deprecation_reason=replaced(since="2026-11-28", by="`filter.states`"),
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Dispute]:
        """Return a page of disputes."""
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, ORDERS, DISPUTES, **page)
        return await dispute_page(info.context, asked, only=filter, order=order, states=states)


@strawberry.type
class DisputingMutation:
    """How lines are disputed, and disputes decided."""

    @resolved("Say that lines of one's statement are wrong. Until its period is approved they are "
              "held back from what is due. For a business, and for finance for one.")  # fmt: skip
    async def open_dispute(
        self,
        info: Info,
        input: Given[OpenDisputeInput],  # noqa: A002
    ) -> DisputeResult:
        """Open and commit, or answer why not."""

        async def step(db: AsyncConnection, actor: str, side: int | None) -> int:
            period = await period_by_code(db, input.period)
            made = await open_dispute(
                db,
                period_id=period.period_id,
                line_ids=input.lines,
                business_id=_given(side),
                reason=input.reason,
                actor=actor,
                idempotency_key=input.idempotency_key,
                now=info.context.now,
            )
            return made.dispute_id

        return await _disputed(info.context, step, side=input.business)

    @resolved("Say something in a dispute. For both sides, and for finance.")
    async def add_dispute_message(
        self,
        info: Info,
        input: Given[AddDisputeMessageInput],  # noqa: A002
    ) -> DisputeResult:
        """Say and commit, or answer why not."""

        async def step(db: AsyncConnection, actor: str, side: int | None) -> int:
            said = await add_dispute_message(
                db,
                dispute_id=input.dispute,
                business_id=side,
                body=input.body,
                actor=actor,
                idempotency_key=input.idempotency_key,
                now=info.context.now,
            )
            return said.dispute_id

        return await _disputed(info.context, step, side=input.business)

    @resolved("Let disputed lines stand after all. For the business that disputes; to withdraw "
              "twice is to withdraw once.")  # fmt: skip
    async def withdraw_dispute(
        self,
        info: Info,
        input: Given[WithdrawDisputeInput],  # noqa: A002
    ) -> DisputeResult:
        """Withdraw and commit, or answer why not."""

        async def step(db: AsyncConnection, actor: str, side: int | None) -> int:
            ended = await withdraw_dispute(
                db,
                dispute_id=input.dispute,
                business_id=_given(side),
                reason=input.reason,
                actor=actor,
                now=info.context.now,
            )
            return ended.dispute_id

        return await _disputed(info.context, step, side=input.business)

    @resolved("Uphold a dispute, or reject it: the next close has lines for it. For finance, and "
              "not for who opened it; to decide twice is to decide once.")  # fmt: skip
    async def resolve_dispute(
        self,
        info: Info,
        input: Given[ResolveDisputeInput],  # noqa: A002
    ) -> DisputeResult:
        """Decide and commit, or answer why not."""

        async def step(db: AsyncConnection, actor: str, side: int | None) -> int:
            ended = await resolve_dispute(
                db,
                dispute_id=input.dispute,
                upheld=input.upheld,
                reason=input.reason,
                actor=actor,
                now=info.context.now,
            )
            return ended.dispute_id

        return await _disputed(info.context, step, roles=CLOSERS)


def _given(side: int | None) -> int:
    if side is None:
        raise errors.Malformed("say for which business", field="business")
    return side


async def _side(context: Context, caller: Principal, asked: str | None) -> int | None:
    """Return the business that the caller acts for; None: for the group's finance.

    Raises Forbidden when a business would act for another one.
    """
    if caller.business is not None and asked not in (None, caller.business):
        raise errors.Forbidden("a business acts only for itself", field="business")
    code = caller.business or asked
    return None if code is None else (await business_named(context, code)).business_id


async def _disputed(
    context: Context,
    step: Callable[[AsyncConnection, str, int | None], Awaitable[int]],
    *,
    side: str | None = None,
    roles: tuple[Role, ...] = DISPUTERS,
) -> DisputeResult:
    try:
        caller = require(context.principal, *roles)
        business_id = await _side(context, caller, side)
        async with context.writing() as db:
            found = await dispute(db, await step(db, caller.subject, business_id))
    except errors.NotFound as unknown:
        return DisputeUnknown(message=unknown.message)
    except errors.Rejected as no:
        return DisputeStands(message=no.message)
    except REFUSALS as no:
        return refused(no)
    return Disputed(dispute=Dispute.of(found))
