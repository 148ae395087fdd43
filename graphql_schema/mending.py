"""What else staff mend: more time for points, points that had ended, debts that are closed."""

from datetime import date
from enum import Enum
from typing import Annotated

import strawberry
from strawberry import relay

from graphql_schema.access import CORRECTORS
from graphql_schema.context import Info
from graphql_schema.desk import KEY, lot_of, open_books
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
)
from graphql_schema.scalars import Long
from graphql_schema.till import receipt, transaction_number
from hub import errors
from hub.ledger.codes import Outcome
from hub.ledger.post import Answer
from hub.points.extend import extend
from hub.points.recover import Recovery, recover
from hub.points.reinstate import reinstate

_BUSINESS = "The business in whose books it stands."
_REASON = "Why; the ledger keeps it."
_ALL_OR_PART = "How many points; unsaid: all."


@strawberry.input(description="Points to give more time.")
class ExtendPointsInput:
    """An extension."""

    member: MemberKey = strawberry.field(description="Whose points.")
    until: date = strawberry.field(description="Their new last day.")
    reason: str = strawberry.field(description=_REASON)
    business: str = strawberry.field(description=_BUSINESS)
    idempotency_key: str = strawberry.field(description=KEY)
    lot: relay.GlobalID | None = strawberry.field(
        default=None, description="The lot's node id; unsaid: all lots that would end sooner."
    )


@strawberry.input(description="Points that had ended, to give back.")
class ReinstatePointsInput:
    """A reinstatement."""

    member: MemberKey = strawberry.field(description="Whose points.")
    lot: relay.GlobalID = strawberry.field(description="The lot's node id: `Entry.lot` tells it.")
    reason: str = strawberry.field(description=_REASON)
    business: str = strawberry.field(description=_BUSINESS)
    idempotency_key: str = strawberry.field(description=KEY)
    points: int | None = strawberry.field(
        graphql_type=Long | None, default=None, description=_ALL_OR_PART
    )
    until: date | None = strawberry.field(
        default=None, description="Their last day; unsaid: the group's days of grace from today."
    )


@strawberry.enum(description="How a receivable ends.")
class RecoveryKind(Enum):
    """The ends of hub.points.recover."""

    PAID = strawberry.enum_value("paid", description="The member paid.")
    WRITTEN_OFF = strawberry.enum_value("written_off", description="The business bears it.")


@strawberry.input(description="A receivable to close.")
class RecoverReceivableInput:
    """A recovery."""

    member: MemberKey = strawberry.field(description="Who owes.")
    business: str = strawberry.field(description="The business that is owed.")
    clawback: strawberry.ID = strawberry.field(description="As `Receivable.clawback` says.")
    how: RecoveryKind = strawberry.field(description="How it ends.")
    reason: str = strawberry.field(description=_REASON)
    idempotency_key: str = strawberry.field(description=KEY)
    points: int | None = strawberry.field(
        graphql_type=Long | None, default=None, description=_ALL_OR_PART
    )


@strawberry.type(description="It was mended.")
class Mended:
    """An extension, a reinstatement or a recovery that was posted."""

    transaction: strawberry.ID = strawberry.field(description="Number of the transaction.")
    points: int = count("How many points it was about.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="The member has no such lot, or none of which this can be done.")
class LotUnknown(Rejection):
    """A decline, stored under the idempotency key."""


@strawberry.type(description="The points end no sooner.")
class EndsNoSooner(Rejection):
    """A decline, stored under the idempotency key."""


@strawberry.type(description="Fewer points of the lot, or of the receivable, are left.")
class FewerLeft(Rejection):
    """A decline, stored under the idempotency key."""

    remaining: int = count("How many points were left when the request was first answered.")


@strawberry.type(description="The group's policy does not let points live so long.")
class BeyondPolicy(Rejection):
    """Nothing was stored: the same key may be used again."""

    latest: date = strawberry.field(description="The last day that would do.")


@strawberry.type(description="The member owes this business nothing by that clawback.")
class ReceivableUnknown(Rejection):
    """A decline, stored under the idempotency key."""


ExtendPointsResult = Annotated[
    Mended | LotUnknown | EndsNoSooner | BeyondPolicy | MemberUnknown | Refused,
    strawberry.union("ExtendPointsResult", description="What came of an extension."),
]
ReinstatePointsResult = Annotated[
    Mended | LotUnknown | FewerLeft | BeyondPolicy | MemberUnknown | Refused,
    strawberry.union("ReinstatePointsResult", description="What came of a reinstatement."),
]
RecoverReceivableResult = Annotated[
    Mended | ReceivableUnknown | FewerLeft | MemberUnknown | Refused,
    strawberry.union("RecoverReceivableResult", description="What came of a recovery."),
]


@strawberry.type
class MendingMutation:
    """What staff mend."""

    @resolved("Let a lot, or all that would end sooner, be valid longer. For staff.")
    async def extend_points(
        self,
        info: Info,
        input: Given[ExtendPointsInput],  # noqa: A002
    ) -> ExtendPointsResult:
        """Extend and commit, or answer why not."""
        context = info.context
        try:
            desk, business = await open_books(context, input, roles=CORRECTORS)
            async with context.writing() as db:
                answer = await extend(
                    db,
                    business_id=business.business_id,
                    member_id=desk.member.member_id,
                    lot_id=None if input.lot is None else lot_of(desk.member, input.lot),
                    until=input.until,
                    reason=input.reason,
                    idempotency_key=desk.idempotency_key,
                    business_date=context.trading_day(business),
                    today=desk.today,
                    now=context.now,
                )
        except errors.NotFound:
            return member_unknown()
        except errors.Rejected as no:
            return _beyond(no)
        except REFUSALS as no:
            return refused(no, reference="lot")
        match answer.outcome:
            case Outcome.LOT_UNKNOWN:
                return LotUnknown(message="the member has no such lot that is still valid")
            case Outcome.NOT_LATER:
                return EndsNoSooner(message=f"these points are valid until {input.until} as it is")
        return _mended(answer, desk.member)

    @resolved("Give back points that ended. For staff.")
    async def reinstate_points(
        self,
        info: Info,
        input: Given[ReinstatePointsInput],  # noqa: A002
    ) -> ReinstatePointsResult:
        """Reinstate and commit, or answer why not."""
        context = info.context
        try:
            desk, business = await open_books(context, input, roles=CORRECTORS)
            async with context.writing() as db:
                answer = await reinstate(
                    db,
                    business_id=business.business_id,
                    member_id=desk.member.member_id,
                    lot_id=lot_of(desk.member, input.lot),
                    reason=input.reason,
                    idempotency_key=desk.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(business),
                    today=desk.today,
                    now=context.now,
                    points=input.points,
                    until=input.until,
                )
        except errors.NotFound:
            return member_unknown()
        except errors.Rejected as no:
            return _beyond(no)
        except REFUSALS as no:
            return refused(no, reference="lot")
        match answer.outcome:
            case Outcome.LOT_UNKNOWN:
                return LotUnknown(message="no points of such a lot have ended")
            case Outcome.LOT_EXCEEDED:
                return _fewer(answer, "of the lot have ended")
        return _mended(answer, desk.member)

    @resolved("Close what a member owes in money since a refund. For staff.")
    async def recover_receivable(
        self,
        info: Info,
        input: Given[RecoverReceivableInput],  # noqa: A002
    ) -> RecoverReceivableResult:
        """Recover and commit, or answer why not."""
        context = info.context
        try:
            desk, business = await open_books(context, input, roles=CORRECTORS)
            number = transaction_number(input.clawback, field="clawback")
            async with context.writing() as db:
                answer = await recover(
                    db,
                    business_id=business.business_id,
                    member_id=desk.member.member_id,
                    clawback_tx=number,
                    how=Recovery[input.how.name],
                    reason=input.reason,
                    idempotency_key=desk.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(business),
                    now=context.now,
                    points=input.points,
                )
        except errors.NotFound:
            return member_unknown()
        except REFUSALS as no:
            return refused(no, reference="clawback")
        match answer.outcome:
            case Outcome.RECEIVABLE_UNKNOWN:
                return ReceivableUnknown(message="nothing is owed to this business by that number")
            case Outcome.RECEIVABLE_EXCEEDED:
                return _fewer(answer, "are owed")
        return _mended(answer, desk.member)


def _mended(answer: Answer, member: Member) -> Mended:
    if answer.outcome is not Outcome.POSTED:
        raise RuntimeError(f"{answer.outcome.name} is no answer to this request")
    return Mended(transaction=receipt(answer), points=answer.points, member=member)


def _fewer(answer: Answer, what: str) -> FewerLeft:
    remaining = answer.available or 0
    return FewerLeft(
        message=f"{remaining} points {what}, {answer.points} were asked for", remaining=remaining
    )


def _beyond(no: errors.Rejected) -> BeyondPolicy:
    latest = no.facts.get("latest")
    if not isinstance(latest, str):
        raise no
    return BeyondPolicy(message=no.message, latest=date.fromisoformat(latest))
