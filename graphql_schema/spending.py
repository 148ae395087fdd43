"""Moving points at a till: redeem, hold, capture, void. Each mutation is one transaction."""

from typing import Annotated, TypeAlias

import strawberry
from strawberry import relay

from graphql_schema.context import Context, Info
from graphql_schema.counter import Sought, open_counter, redeemed_at_once, seek
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey, node_key
from graphql_schema.member import Member
from graphql_schema.points import Hold
from graphql_schema.rejections import (
    REFUSALS,
    HoldClosed,
    HoldExceeded,
    HoldUnknown,
    InsufficientPoints,
    MemberUnknown,
    PointsNotAccepted,
    Refused,
    member_unknown,
    not_accepted,
    not_held,
    refused,
    too_few,
)
from graphql_schema.scalars import Long
from graphql_schema.till import open_till, receipt
from hub import errors
from hub.jobs.changes import member_key
from hub.ledger.codes import Outcome
from hub.ledger.post import Answer
from hub.points.capture import capture
from hub.points.hold import hold
from hub.points.purpose import Purpose
from hub.points.redeem import redeem
from hub.points.void import void

_KEY = (
    "Chosen by the till, once per request, 1 to 190 characters: sending the same request again "
    "returns the first answer."
)
_BUSINESS = "The business that acts; unsaid, the caller's own. No other is allowed."
_BILL = (
    "The whole bill in minor units of the business's currency; needed where points pay only a "
    "share of a bill."
)
_AWARD = "The award that is redeemed, by its code, where agreements price awards."
_CATEGORY = "What the points are spent on, by the code of a category that agreements price."


@strawberry.input(description="Points to spend at once.")
class RedeemInput:
    """A redemption."""

    member: MemberKey = strawberry.field(description="Who spends.")
    points: int = count("How many points.")
    idempotency_key: str = strawberry.field(description=_KEY)
    business: str | None = strawberry.field(default=None, description=_BUSINESS)
    bill_minor: int | None = strawberry.field(
        graphql_type=Long | None, default=None, description=_BILL
    )
    award: str | None = strawberry.field(default=None, description=_AWARD)
    category: str | None = strawberry.field(default=None, description=_CATEGORY)


@strawberry.input(description="Points to set aside.")
class HoldInput:
    """A hold."""

    member: MemberKey = strawberry.field(description="Whose points.")
    points: int = count("How many points.")
    idempotency_key: str = strawberry.field(description=_KEY)
    ttl_seconds: int = strawberry.field(
        default=900, description="Seconds until what is left lapses, up to 7 days."
    )
    business: str | None = strawberry.field(default=None, description=_BUSINESS)
    bill_minor: int | None = strawberry.field(
        graphql_type=Long | None, default=None, description=_BILL
    )
    award: str | None = strawberry.field(default=None, description=_AWARD)
    category: str | None = strawberry.field(default=None, description=_CATEGORY)


@strawberry.input(description="Held points to spend or to give back.")
class EndHoldInput:
    """A capture or a void."""

    hold: relay.GlobalID = strawberry.field(description="The hold's node id.")
    idempotency_key: str = strawberry.field(description=_KEY)
    points: int | None = strawberry.field(
        graphql_type=Long | None, default=None, description="How many points; unsaid: all left."
    )
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.type(description="Points were spent.")
class Redeemed:
    """A redemption that was posted."""

    transaction: strawberry.ID = strawberry.field(description="Number for the receipt.")
    points: int = count("How many points were spent.")
    available: int = count(
        "How many points could still be spent right after it, for the receipt; the same whenever "
        "it is repeated."
    )
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="Points were set aside.")
class Held:
    """A hold that was placed."""

    hold: Hold = strawberry.field(description="The hold, as it stands now.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="Held points were spent.")
class Captured:
    """A capture that was posted."""

    transaction: strawberry.ID = strawberry.field(description="Number for the receipt.")
    points: int = count("How many points were spent.")
    hold: Hold = strawberry.field(description="The hold, as it stands now.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="Held points were given back.")
class Voided:
    """A void that was posted."""

    transaction: strawberry.ID = strawberry.field(description="Number for the receipt.")
    points: int = count("How many points were given back.")
    hold: Hold = strawberry.field(description="The hold, as it stands now.")
    member: Member = strawberry.field(description="The member, as things stand now.")


_EndRefused: TypeAlias = HoldUnknown | HoldClosed | HoldExceeded | Refused
RedeemResult = Annotated[
    Redeemed | InsufficientPoints | PointsNotAccepted | MemberUnknown | Refused,
    strawberry.union("RedeemResult", description="What came of a redemption."),
]
HoldResult = Annotated[
    Held | InsufficientPoints | PointsNotAccepted | MemberUnknown | Refused,
    strawberry.union("HoldResult", description="What came of a hold."),
]
CaptureResult = Annotated[
    Captured | _EndRefused,
    strawberry.union("CaptureResult", description="What came of a capture."),
]
VoidResult = Annotated[
    Voided | _EndRefused, strawberry.union("VoidResult", description="What came of a void.")
]


@strawberry.type
class SpendingMutation:
    """The verbs of a till."""

    @resolved("Spend points at once.")
    async def redeem(self, info: Info, input: Given[RedeemInput]) -> RedeemResult:  # noqa: A002
        """Redeem and commit, or answer why not."""
        context = info.context
        try:
            sought = await seek(context, input)
            done = await redeemed_at_once(context, input, sought)
            done = done or await _redeemed(context, input, sought)
        except errors.Rejected as no:
            return not_accepted(no)
        except REFUSALS as no:
            return refused(no)
        if done is None:
            return member_unknown()
        answer, member = done
        if answer.outcome is not Outcome.POSTED:
            return too_few(answer)
        return Redeemed(
            transaction=receipt(answer),
            points=answer.points,
            available=_left(answer),
            member=member,
        )

    @resolved("Set points aside, to capture or void later.")
    async def hold(self, info: Info, input: Given[HoldInput]) -> HoldResult:  # noqa: A002
        """Hold and commit, or answer why not."""
        context = info.context
        try:
            counter = await open_counter(context, input)
            if counter is None:
                return member_unknown()
            till, member = counter.till, counter.member
            async with context.writing() as db:
                answer = await hold(
                    db,
                    business_id=till.business.business_id,
                    member_id=member.member_id,
                    account_id=counter.account_id,
                    points=input.points,
                    ttl_seconds=input.ttl_seconds,
                    idempotency_key=till.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(till.business),
                    today=till.today,
                    now=context.now,
                    acceptance=counter.acceptance,
                    bill_minor=input.bill_minor,
                    purpose=Purpose(award=input.award, category=input.category),
                    stopped_issuers=till.business.stopped_issuers,
                )
                context.changed(member_key(member.member_id))
        except errors.Rejected as no:
            return not_accepted(no)
        except REFUSALS as no:
            return refused(no)
        if answer.outcome is not Outcome.POSTED:
            return too_few(answer)
        return Held(hold=await _hold(context, member.member_id, answer.tx_id), member=member)

    @resolved("Spend points of a hold, all or in parts.")
    async def capture(self, info: Info, input: Given[EndHoldInput]) -> CaptureResult:  # noqa: A002
        """Capture and commit, or answer why not."""
        context = info.context
        try:
            till = await open_till(
                context, business=input.business, idempotency_key=input.idempotency_key
            )
            member_id, hold_id = node_key(input.hold, "Hold", parts=2, field="hold")
            async with context.writing() as db:
                answer = await capture(
                    db,
                    business_id=till.business.business_id,
                    member_id=member_id,
                    hold_id=hold_id,
                    points=input.points,
                    idempotency_key=till.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(till.business),
                    now=context.now,
                )
                context.changed(member_key(member_id))
        except REFUSALS as no:
            return refused(no)
        if answer.outcome is not Outcome.POSTED:
            return not_held(answer)
        await context.present(member_id)
        held = await _hold(context, member_id, hold_id)
        return Captured(
            transaction=receipt(answer),
            points=answer.points,
            hold=held,
            member=Member(member_id=held.member_id),
        )

    @resolved("Give points of a hold back, all or in parts.")
    async def void(self, info: Info, input: Given[EndHoldInput]) -> VoidResult:  # noqa: A002
        """Void and commit, or answer why not."""
        context = info.context
        try:
            till = await open_till(
                context, business=input.business, idempotency_key=input.idempotency_key
            )
            member_id, hold_id = node_key(input.hold, "Hold", parts=2, field="hold")
            async with context.writing() as db:
                answer = await void(
                    db,
                    business_id=till.business.business_id,
                    member_id=member_id,
                    hold_id=hold_id,
                    points=input.points,
                    idempotency_key=till.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(till.business),
                    now=context.now,
                )
                context.changed(member_key(member_id))
        except REFUSALS as no:
            return refused(no)
        if answer.outcome is not Outcome.POSTED:
            return not_held(answer)
        await context.present(member_id)
        held = await _hold(context, member_id, hold_id)
        return Voided(
            transaction=receipt(answer),
            points=answer.points,
            hold=held,
            member=Member(member_id=held.member_id),
        )


async def _redeemed(
    context: Context, asked: RedeemInput, sought: Sought
) -> tuple[Answer, Member] | None:
    """Redeem whatever may be redeemed; None for a member who may not be known there."""
    counter = await open_counter(context, asked, sought)
    if counter is None:
        return None
    till, member = counter.till, counter.member
    async with context.writing() as db:
        answer = await redeem(
            db,
            business_id=till.business.business_id,
            member_id=member.member_id,
            account_id=counter.account_id,
            points=asked.points,
            idempotency_key=till.idempotency_key,
            occurred_at=context.now,
            business_date=context.trading_day(till.business),
            today=till.today,
            now=context.now,
            acceptance=counter.acceptance,
            bill_minor=asked.bill_minor,
            purpose=Purpose(award=asked.award, category=asked.category),
            stopped_issuers=till.business.stopped_issuers,
        )
    return answer, member


def _left(answer: Answer) -> int:
    """Return how many points a redemption left that can be spent, as the receipt says."""
    if answer.available is None:
        raise RuntimeError("a redemption that was posted does not say what could be spent")
    return answer.available - answer.points


async def _hold(context: Context, member_id: int, hold_id: int) -> Hold:
    row = await context.load.holds.load((member_id, hold_id))
    if row is None:
        raise RuntimeError("a hold that was posted is not there")
    return Hold.of(row)
