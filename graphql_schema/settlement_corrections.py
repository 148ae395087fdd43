"""Corrections of what was settled: proposed by one of finance, approved by another."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import CLOSE_READERS, CLOSERS, require
from graphql_schema.context import Context, Info
from graphql_schema.deprecated import replaced
from graphql_schema.desk import business_named
from graphql_schema.fields import Given, count, resolved
from graphql_schema.filters import (
    DIRECTION,
    Direction,
    by_businesses,
    comparable,
    either,
    ordered_page,
    said,
)
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.programme import Business
from graphql_schema.rejections import REFUSALS, Refused, Rejection, refused
from graphql_schema.scalars import Long
from hub import errors
from hub.settlement import corrections
from hub.settlement.approve_correction import approve_correction
from hub.settlement.propose_correction import propose_correction
from hub.settlement.reject_correction import reject_correction

NUMBER = "The correction's number."


@strawberry.enum(description="What became of a correction.")
class CorrectionState(Enum):
    """States of a correction."""

    PROPOSED = strawberry.enum_value("proposed", description="It waits for a second person.")
    APPROVED = strawberry.enum_value("approved", description="A line of the next close.")
    REJECTED = strawberry.enum_value("rejected", description="Somebody said no to it.")


@strawberry.type(description="What one business owes another more, or less, than was settled.")
class SettlementCorrection:
    """A correction, as it stands now."""

    row: strawberry.Private[corrections.Correction]
    number: int = count(NUMBER)
    amount: Decimal = strawberry.field(
        description="Major units that the debtor owes more, exact; negative: less."
    )
    currency: str = strawberry.field(description="ISO 4217 currency of the amount.")
    points: int = count("Points more or fewer.")
    line: int | None = strawberry.field(
        graphql_type=Long | None, description="The number of the line that it corrects, if of one."
    )
    reason: str = strawberry.field(description="Why it was proposed.")
    state: CorrectionState = strawberry.field(description="What became of it.")
    maker: str = strawberry.field(description="Who proposed it.")
    proposed_at: datetime = strawberry.field(description="When it was proposed.")
    checker: str | None = strawberry.field(description="Who decided; null: nobody yet.")
    decided_at: datetime | None = strawberry.field(description="When it was decided.")
    verdict: str | None = strawberry.field(description="Why it was rejected.")

    @resolved("The business that owes.")
    async def debtor(self, info: Info) -> Business:
        """Return the debtor."""
        return Business.of(await info.context.business(self.row.debtor_id))

    @resolved("The business that is owed.")
    async def creditor(self, info: Info) -> Business:
        """Return the creditor."""
        return Business.of(await info.context.business(self.row.creditor_id))

    @classmethod
    def of(cls, row: corrections.Correction) -> "SettlementCorrection":
        """Show a correction."""
        return cls(
            row=row,
            number=row.correction_id,
            amount=row.amount,
            currency=row.currency,
            points=row.points,
            line=row.line_id,
            reason=row.reason,
            state=CorrectionState(row.state),
            maker=row.maker,
            proposed_at=row.proposed_at,
            checker=row.checker,
            decided_at=row.decided_at,
            verdict=row.verdict,
        )


@strawberry.input(description="What one business owes another more, or less, than was settled.")
class ProposeCorrectionInput:
    """A proposal."""

    debtor: str = strawberry.field(description="The code of the business that owes.")
    creditor: str = strawberry.field(description="The code of the business that is owed.")
    amount: Decimal = strawberry.field(description="Major units more; negative: less.")
    currency: str = strawberry.field(description="ISO 4217.")
    reason: str = strawberry.field(description="Why; it is kept.")
    idempotency_key: str = strawberry.field(
        description="Chosen by the caller, once per request: the same again is one."
    )
    points: int = strawberry.field(
        default=0, graphql_type=Long, description="Points more or fewer."
    )
    line: int | None = strawberry.field(
        default=None,
        graphql_type=Long | None,
        description="The number of the line that it corrects: it is taxed as that is.",
    )


@strawberry.input(description="A correction to let be settled.")
class ApproveCorrectionInput:
    """An approval."""

    correction: int = count(NUMBER)


@strawberry.input(description="A correction to end without effect.")
class RejectCorrectionInput:
    """A rejection by a person."""

    correction: int = count(NUMBER)
    reason: str = strawberry.field(description="Why not.")


@strawberry.type(description="The correction stands as it says.")
class SettlementCorrected:
    """What became of a correction."""

    correction: SettlementCorrection = strawberry.field(description="As it stands now.")


@strawberry.type(description="There is no such correction.")
class CorrectionUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="This cannot be done with the correction, or no longer.")
class CorrectionStands(Rejection):
    """Nothing was stored."""


CorrectionResult = Annotated[
    SettlementCorrected | CorrectionUnknown | CorrectionStands | Refused,
    strawberry.union("CorrectionResult", description="What came of a correction."),
]


@strawberry.input(description="Which corrections; all that is said holds.")
class SettlementCorrectionFilter:
    """By what became of them, of which lines, by whom and when."""

    states: list[CorrectionState] | None = strawberry.field(
        default=None, description="In these states; unsaid: those that wait."
    )
    business: str | None = strawberry.field(
        default=None, description="Of what it owes or is owed: a business's code."
    )
    debtor: str | None = strawberry.field(
        default=None, description="Of what it owes: a business's code."
    )
    creditor: str | None = strawberry.field(
        default=None, description="Of what it is owed: a business's code."
    )
    currency: str | None = strawberry.field(default=None, description="In this currency, ISO 4217.")
    least_amount: Decimal | None = strawberry.field(
        default=None,
        description="Of that amount or more, up or down, in major units of `currency`, which is "
        "to be said too.",
    )
    maker: str | None = strawberry.field(default=None, description="That this person proposed.")
    proposed_from: datetime | None = strawberry.field(
        default=None, description="Proposed then or later, with an offset from UTC."
    )
    proposed_before: datetime | None = strawberry.field(
        default=None, description="Proposed before then, with an offset from UTC."
    )


@strawberry.enum(description="By what corrections are ordered.")
class SettlementCorrectionOrderField(Enum):
    """The orders of hub.settlement.corrections."""

    PROPOSED = strawberry.enum_value("proposed", description="When they were proposed.")
    AMOUNT = strawberry.enum_value(
        "amount",
        description="How much, up or down, of one currency: say which by `filter.currency`.",
    )


@strawberry.input(description="How corrections are ordered.")
class SettlementCorrectionOrder:
    """By what, and which way."""

    field: SettlementCorrectionOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


_ORDERS = {"PROPOSED": corrections.BY_PROPOSING, "AMOUNT": corrections.BY_SIZE}


@strawberry.type
class SettlementCorrectionQuery:
    """Reads of corrections."""

    @resolved("Corrections of what was settled, oldest first. For finance and staff.")
    async def settlement_corrections(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            SettlementCorrectionFilter | None,
            strawberry.argument(description="Only these corrections."),
        ] = None,
        order_by: Annotated[
            SettlementCorrectionOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the oldest first."),
        ] = None,
        states: Annotated[
            list[CorrectionState] | None,
            strawberry.argument(
                description="Only in these; unsaid: those that wait.",
                deprecation_reason=replaced(since="2026-11-28", by="`filter.states`"),
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[SettlementCorrection]:
        """Return a page of corrections."""
        require(info.context.principal, *CLOSE_READERS)
        only = said(filter)
        states = either("states", states, only.pop("states", None))
        by_amount = order_by and order_by.field is SettlementCorrectionOrderField.AMOUNT
        comparable(only.get("currency"), by_amount or "least_amount" in only)
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, _ORDERS, corrections.CORRECTIONS, **page)
        held = corrections.CorrectionFilter(
            least=only.pop("least_amount", None),
            **await by_businesses(info.context, only, "business", "debtor", "creditor"),
        )
        async with info.context.reading() as db:
            rows = await corrections.corrections(
                db,
                states=["proposed"] if states is None else [str(one.value) for one in states],
                only=held,
                order=order,
                stretch=asked.stretch,
            )
        return connection(rows, asked, node=SettlementCorrection.of, place=order.place)


@strawberry.type
class SettlementCorrectionMutation:
    """How finance puts right what was settled."""

    @resolved("Propose that a business owes another one more, or less, than was settled; somebody "
              "else approves. For finance.")  # fmt: skip
    async def propose_correction(
        self,
        info: Info,
        input: Given[ProposeCorrectionInput],  # noqa: A002
    ) -> CorrectionResult:
        """Propose and commit, or answer why not."""
        context = info.context
        try:
            require(context.principal, *CLOSERS)
            debtor = await business_named(context, input.debtor)
            creditor = await business_named(context, input.creditor)
        except REFUSALS as no:
            return refused(no)

        async def propose(db: AsyncConnection, actor: str) -> corrections.Correction:
            return await propose_correction(
                db,
                debtor_id=debtor.business_id,
                creditor_id=creditor.business_id,
                currency=input.currency,
                amount=input.amount,
                points=input.points,
                line_id=input.line,
                reason=input.reason,
                actor=actor,
                idempotency_key=input.idempotency_key,
                now=context.now,
            )

        return await _corrected(context, propose)

    @resolved("Let a correction be a line of the next close. For finance, and not for who proposed "
              "it; to approve twice is to approve once.")  # fmt: skip
    async def approve_correction(
        self,
        info: Info,
        input: Given[ApproveCorrectionInput],  # noqa: A002
    ) -> CorrectionResult:
        """Approve and commit, or answer why not."""
        return await _corrected(
            info.context,
            lambda db, actor: approve_correction(
                db, correction_id=input.correction, actor=actor, now=info.context.now
            ),
        )

    @resolved("End a correction without effect; its maker may, too. For finance.")
    async def reject_correction(
        self,
        info: Info,
        input: Given[RejectCorrectionInput],  # noqa: A002
    ) -> CorrectionResult:
        """Reject and commit, or answer why not."""
        return await _corrected(
            info.context,
            lambda db, actor: reject_correction(
                db,
                correction_id=input.correction,
                reason=input.reason,
                actor=actor,
                now=info.context.now,
            ),
        )


async def _corrected(
    context: Context, step: Callable[[AsyncConnection, str], Awaitable[corrections.Correction]]
) -> CorrectionResult:
    try:
        caller = require(context.principal, *CLOSERS)
        async with context.writing() as db:
            row = await step(db, caller.subject)
    except errors.NotFound as unknown:
        return CorrectionUnknown(message=unknown.message)
    except errors.Rejected as no:
        return CorrectionStands(message=no.message)
    except REFUSALS as no:
        return refused(no)
    return SettlementCorrected(correction=SettlementCorrection.of(row))
