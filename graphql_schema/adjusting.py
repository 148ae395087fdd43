"""Adjusting points: one of staff proposes, above a threshold a second one approves or rejects."""

from datetime import date
from typing import Annotated

import strawberry
from strawberry import relay

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.corrections import Adjustment
from graphql_schema.desk import KEY, open_books
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey, node_key
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    InsufficientPoints,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
)
from hub import errors
from hub.points import adjustments
from hub.points.approve_adjustment import approve_adjustment
from hub.points.propose_adjustment import propose_adjustment
from hub.points.reject_adjustment import reject_adjustment


@strawberry.input(description="Points that a member should have had, or should not.")
class ProposeAdjustmentInput:
    """A proposal."""

    member: MemberKey = strawberry.field(description="Whose points.")
    business: str = strawberry.field(description="The business that bears it.")
    points: int = count("Points more (positive) or fewer (negative).")
    reason: str = strawberry.field(description="Why; the ledger keeps it.")
    idempotency_key: str = strawberry.field(description=KEY)
    expires_on: date | None = strawberry.field(
        default=None,
        description="The last day of points that it adds; unsaid: by the expiry policy in force.",
    )


@strawberry.input(description="An adjustment to let be posted.")
class ApproveAdjustmentInput:
    """An approval."""

    adjustment: relay.GlobalID = strawberry.field(description="The adjustment's node id.")


@strawberry.input(description="An adjustment to end without effect.")
class RejectAdjustmentInput:
    """A rejection by a person."""

    adjustment: relay.GlobalID = strawberry.field(description="The adjustment's node id.")
    reason: str = strawberry.field(description="Why not.")


@strawberry.type(description="The adjustment stands as it says: proposed, posted or rejected.")
class Adjusted:
    """What became of an adjustment, other than a decline."""

    adjustment: Adjustment = strawberry.field(description="The adjustment, as it stands now.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="There is no such adjustment.")
class AdjustmentUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The adjustment was decided otherwise.")
class AdjustmentDecided(Rejection):
    """Nothing was stored."""


ProposeAdjustmentResult = Annotated[
    Adjusted | InsufficientPoints | MemberUnknown | Refused,
    strawberry.union("ProposeAdjustmentResult", description="What came of a proposal."),
]
DecideAdjustmentResult = Annotated[
    Adjusted | InsufficientPoints | AdjustmentUnknown | AdjustmentDecided | Refused,
    strawberry.union("DecideAdjustmentResult", description="What came of a decision."),
]


@strawberry.type
class AdjustingMutation:
    """How staff correct a balance."""

    @resolved("Correct a member's points at a business's expense: at once up to the group's "
              "threshold, above it once somebody else approves. For staff.")  # fmt: skip
    async def propose_adjustment(
        self,
        info: Info,
        input: Given[ProposeAdjustmentInput],  # noqa: A002
    ) -> ProposeAdjustmentResult:
        """Propose and commit, or answer why not."""
        context = info.context
        try:
            desk, business = await open_books(context, input, roles=CORRECTORS)
            async with context.writing() as db:
                made = await propose_adjustment(
                    db,
                    business_id=business.business_id,
                    member_id=desk.member.member_id,
                    points=input.points,
                    reason=input.reason,
                    maker=desk.caller.subject,
                    idempotency_key=desk.idempotency_key,
                    business_date=context.trading_day(business),
                    today=desk.today,
                    now=context.now,
                    expires_on=input.expires_on,
                )
        except errors.NotFound:
            return member_unknown()
        except REFUSALS as no:
            return refused(no)
        return _too_few(made) or _adjusted(made)

    @resolved("Let an adjustment be posted that somebody else proposed. For staff; to approve "
              "twice is to approve once.")  # fmt: skip
    async def approve_adjustment(
        self,
        info: Info,
        input: Given[ApproveAdjustmentInput],  # noqa: A002
    ) -> DecideAdjustmentResult:
        """Approve and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            member_id, adjustment_id = _key(input.adjustment)
            found = await context.load.adjustments_by_key.load((member_id, adjustment_id))
            if found is None:
                return AdjustmentUnknown(message="there is no such adjustment")
            business = await context.business(found.business_id)
            today = await context.load.today()
            async with context.writing() as db:
                decided = await approve_adjustment(
                    db,
                    member_id=member_id,
                    adjustment_id=adjustment_id,
                    checker=caller.subject,
                    business_date=context.trading_day(business),
                    today=today,
                    now=context.now,
                )
        except errors.NotFound as unknown:
            return AdjustmentUnknown(message=unknown.message)
        except errors.Rejected as no:
            return AdjustmentDecided(message=no.message)
        except REFUSALS as no:
            return refused(no)
        return _too_few(decided) or _adjusted(decided)

    @resolved("End a proposed adjustment without effect; its maker may, too. For staff; to reject "
              "twice is to reject once.")  # fmt: skip
    async def reject_adjustment(
        self,
        info: Info,
        input: Given[RejectAdjustmentInput],  # noqa: A002
    ) -> DecideAdjustmentResult:
        """Reject and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            member_id, adjustment_id = _key(input.adjustment)
            async with context.writing() as db:
                decided = await reject_adjustment(
                    db,
                    member_id=member_id,
                    adjustment_id=adjustment_id,
                    checker=caller.subject,
                    reason=input.reason,
                    now=context.now,
                )
        except errors.NotFound as unknown:
            return AdjustmentUnknown(message=unknown.message)
        except errors.Rejected as no:
            return AdjustmentDecided(message=no.message)
        except REFUSALS as no:
            return refused(no)
        return _adjusted(decided)


def _key(adjustment: relay.GlobalID) -> tuple[int, int]:
    member_id, adjustment_id = node_key(adjustment, "Adjustment", parts=2, field="adjustment")
    return member_id, adjustment_id


def _too_few(adjustment: adjustments.Adjustment) -> InsufficientPoints | None:
    if adjustment.state != "declined":
        return None
    available = adjustment.available or 0
    return InsufficientPoints(
        message=f"{available} of this business's points can be taken, {-adjustment.points} were "
        "asked for",
        available=available,
    )


def _adjusted(adjustment: adjustments.Adjustment) -> Adjusted:
    return Adjusted(
        adjustment=Adjustment.of(adjustment), member=Member(member_id=adjustment.member_id)
    )
