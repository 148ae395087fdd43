"""Using benefits at a till."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.context import Info
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey, reached_member
from graphql_schema.member import Member
from graphql_schema.rejections import (
    Forbidden,
    IdempotencyConflict,
    InvalidInput,
    MemberUnknown,
    Rejection,
    member_unknown,
    refused,
)
from graphql_schema.till import open_till
from hub import errors
from hub.benefits.entitlements.requests import UseAnswer, UseOutcome
from hub.benefits.use import use


@strawberry.input(description="One use of a benefit.")
class UseEntitlementInput:
    """A use."""

    member: MemberKey = strawberry.field(description="Who uses it.")
    benefit: str = strawberry.field(description="The benefit's short name.")
    idempotency_key: str = strawberry.field(
        description="As for `redeem`; keys of benefits and of points do not meet."
    )
    business: str | None = strawberry.field(
        default=None, description="The business that serves it; unsaid, the caller's own."
    )
    quantity: int = strawberry.field(default=1, description="How many uses.")
    outlet: str | None = strawberry.field(
        default=None, description="The outlet that serves it, where only some do."
    )


@strawberry.type(description="A use was taken from the member's quota.")
class EntitlementUsed:
    """A use that was recorded."""

    benefit: str = strawberry.field(description="The benefit's short name.")
    use: strawberry.ID = strawberry.field(description="Its number, for `cancelUse`.")
    quantity: int = strawberry.field(description="How many uses.")
    remaining: int = count("Uses left after it.")
    used_at: datetime = strawberry.field(description="When it was used.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.enum(description="Why a benefit cannot be used.")
class EntitlementRefusal(Enum):
    """The declines of hub.benefits.use."""

    NOT_OFFERED_HERE = strawberry.enum_value(
        UseOutcome.NOT_OFFERED_HERE.value, description="The business does not offer it."
    )
    NOT_ENTITLED = strawberry.enum_value(
        UseOutcome.NOT_ENTITLED.value, description="Nothing grants it to the member now."
    )
    QUOTA_USED = strawberry.enum_value(
        UseOutcome.QUOTA_USED.value, description="Fewer uses are left than asked for."
    )
    HOLD_CLOSED = strawberry.enum_value(
        UseOutcome.HOLD_CLOSED.value,
        description="Nothing is left of the hold, or its time is over.",
    )
    HOLD_EXCEEDED = strawberry.enum_value(
        UseOutcome.HOLD_EXCEEDED.value, description="The hold has fewer uses left than asked for."
    )
    USE_EXCEEDED = strawberry.enum_value(
        UseOutcome.USE_EXCEEDED.value, description="Less of the use is left to cancel."
    )


_WORDS = {
    UseOutcome.NOT_OFFERED_HERE: "this business does not offer it",
    UseOutcome.NOT_ENTITLED: "neither the member's tier nor anything else gives it now",
    UseOutcome.QUOTA_USED: "fewer uses are left than asked for",
    UseOutcome.HOLD_CLOSED: "nothing is left of the hold, or its time is over",
    UseOutcome.HOLD_EXCEEDED: "the hold has fewer uses left than asked for",
    UseOutcome.USE_EXCEEDED: "less of the use is left to cancel",
}


@strawberry.type(description="The benefit cannot be used.")
class EntitlementRefused(Rejection):
    """A decline, stored under the idempotency key."""

    reason: EntitlementRefusal = strawberry.field(description="Why.")


def named_benefit(benefit: str, outlet: str | None) -> None:
    """Raise Malformed for names that no text can be."""
    if not benefit.isprintable():
        raise errors.Malformed("no benefit is called that", field="benefit")
    if outlet is not None and not (outlet.isprintable() and 1 <= len(outlet) <= 200):
        raise errors.Malformed("no outlet is called that", field="outlet")


def not_done(answer: UseAnswer) -> EntitlementRefused:
    """Return the typed rejection for a decline."""
    reason = EntitlementRefusal[answer.outcome.name]
    return EntitlementRefused(message=_WORDS[answer.outcome], reason=reason)


def used(answer: UseAnswer, member: Member) -> EntitlementUsed:
    """Return the typed answer for a use that was recorded."""
    return EntitlementUsed(
        benefit=answer.benefit_code,
        use=strawberry.ID(str(answer.use_id)),
        quantity=answer.quantity,
        remaining=answer.remaining,
        used_at=answer.used_at,
        member=member,
    )


UseEntitlementResult = Annotated[
    EntitlementUsed
    | EntitlementRefused
    | MemberUnknown
    | IdempotencyConflict
    | InvalidInput
    | Forbidden,
    strawberry.union("UseEntitlementResult", description="What came of a use."),
]


@strawberry.type
class UsingMutation:
    """Benefits at a till."""

    @resolved("Take one use of a benefit from the member's quota.")
    async def use_entitlement(
        self,
        info: Info,
        input: Given[UseEntitlementInput],  # noqa: A002
    ) -> UseEntitlementResult:
        """Use and commit, or answer why not."""
        context = info.context
        try:
            till = await open_till(
                context, business=input.business, idempotency_key=input.idempotency_key
            )
            named_benefit(input.benefit, input.outlet)
            member = await reached_member(context, input.member)
            if member is None:
                return member_unknown()
            async with context.writing() as db:
                answer = await use(
                    db,
                    member_id=member.member_id,
                    benefit_code=input.benefit,
                    business_id=till.business.business_id,
                    idempotency_key=till.idempotency_key,
                    now=context.now,
                    quantity=input.quantity,
                    outlet=input.outlet,
                )
        except (errors.Conflict, errors.Malformed, errors.Forbidden) as no:
            return refused(no)
        except errors.NotFound as unknown:
            return InvalidInput(message=unknown.message, field="benefit")
        if answer.outcome is not UseOutcome.USED:
            return not_done(answer)
        return used(answer, member)
