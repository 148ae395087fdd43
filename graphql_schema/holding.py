"""Setting benefits aside at a till, using what is set aside, and cancelling uses."""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Annotated, Protocol

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey, reached_member
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
)
from graphql_schema.till import open_till, transaction_number
from graphql_schema.using import (
    EntitlementRefused,
    EntitlementUsed,
    named_benefit,
    not_done,
    used,
)
from hub import errors
from hub.benefits.entitlements.cancel_use import cancel_use
from hub.benefits.entitlements.hold import hold
from hub.benefits.entitlements.release import release
from hub.benefits.entitlements.requests import DONE, UseAnswer
from hub.benefits.entitlements.use_held import use_held

_KEY = "As for `useEntitlement`."
_BUSINESS = "The business that acts; unsaid, the caller's own."


@strawberry.input(description="Uses of a benefit to set aside.")
class HoldBenefitInput:
    """A hold."""

    member: MemberKey = strawberry.field(description="Whose benefit.")
    benefit: str = strawberry.field(description="The benefit's short name.")
    idempotency_key: str = strawberry.field(description=_KEY)
    quantity: int = strawberry.field(default=1, description="How many uses.")
    ttl_seconds: int = strawberry.field(
        default=900, description="Seconds until what is left lapses, up to 7 days."
    )
    outlet: str | None = strawberry.field(
        default=None, description="The outlet that serves it, where only some do."
    )
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.input(description="A hold to use or to release.")
class EndBenefitHoldInput:
    """What becomes of a hold."""

    hold: strawberry.ID = strawberry.field(description="The hold's number.")
    idempotency_key: str = strawberry.field(description=_KEY)
    quantity: int | None = strawberry.field(
        default=None, description="How many uses; unsaid: all that are left."
    )
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.input(description="A use to cancel, as its sale is refunded.")
class CancelUseInput:
    """A cancellation."""

    use: strawberry.ID = strawberry.field(description="The use's number.")
    idempotency_key: str = strawberry.field(description=_KEY)
    quantity: int | None = strawberry.field(
        default=None, description="How many of its uses; unsaid: all that are left."
    )
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.type(description="Uses were set aside.")
class BenefitHeld:
    """A hold that was placed."""

    hold: strawberry.ID = strawberry.field(description="Its number.")
    benefit: str = strawberry.field(description="The benefit's short name.")
    quantity: int = strawberry.field(description="How many uses.")
    remaining: int = count("Uses left beside it.")
    expires_at: datetime = strawberry.field(description="When what is left of it lapses.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="Uses that were set aside can be used by others again.")
class BenefitReleased:
    """A hold that was released."""

    benefit: str = strawberry.field(description="The benefit's short name.")
    quantity: int = strawberry.field(description="How many uses.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="A use was cancelled; its price is owed no more.")
class UseCancelled:
    """A cancellation."""

    benefit: str = strawberry.field(description="The benefit's short name.")
    quantity: int = strawberry.field(description="How many uses were given back.")
    left_to_cancel: int = count("How many of the use are left to cancel.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="The business made no such hold or use.")
class UseUnknown(Rejection):
    """Nothing was stored: the same key may be used again."""


HoldBenefitResult = Annotated[
    BenefitHeld | EntitlementRefused | MemberUnknown | Refused,
    strawberry.union("HoldBenefitResult", description="What came of setting uses aside."),
]
UseHeldResult = Annotated[
    EntitlementUsed | EntitlementRefused | UseUnknown | Refused,
    strawberry.union("UseHeldResult", description="What came of using a hold."),
]
ReleaseHeldResult = Annotated[
    BenefitReleased | EntitlementRefused | UseUnknown | Refused,
    strawberry.union("ReleaseHeldResult", description="What came of releasing a hold."),
]
CancelUseResult = Annotated[
    UseCancelled | EntitlementRefused | UseUnknown | Refused,
    strawberry.union("CancelUseResult", description="What came of a cancellation."),
]


class _End(Protocol):
    def __call__(
        self, db: AsyncConnection, *, business_id: int, number: int, key: str
    ) -> Awaitable[UseAnswer]: ...


async def _ended(
    context: Context, input_: EndBenefitHoldInput | CancelUseInput, end: _End
) -> UseAnswer | EntitlementRefused | UseUnknown | Refused:
    """Do something to a hold or a use of the caller's, and commit; or say why not."""
    if isinstance(input_, CancelUseInput):
        number, field = input_.use, "use"
    else:
        number, field = input_.hold, "hold"
    try:
        till = await open_till(
            context, business=input_.business, idempotency_key=input_.idempotency_key
        )
        asked = transaction_number(number, field=field)
        async with context.writing() as db:
            answer = await end(
                db,
                business_id=till.business.business_id,
                number=asked,
                key=till.idempotency_key,
            )
    except errors.NotFound as unknown:
        return UseUnknown(message=unknown.message)
    except REFUSALS as no:
        if isinstance(no, errors.Conflict) and no.field == "reference_id":
            no = errors.Conflict(no.message, field=field)
        return refused(no)
    return answer if answer.outcome in DONE else not_done(answer)


@strawberry.type
class HoldingMutation:
    """Benefits that are set aside at a till."""

    @resolved("Set uses of a benefit aside until they are used, released or lapse.")
    async def hold_benefit(
        self,
        info: Info,
        input: Given[HoldBenefitInput],  # noqa: A002
    ) -> HoldBenefitResult:
        """Hold and commit, or answer why not."""
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
                answer = await hold(
                    db,
                    member_id=member.member_id,
                    benefit_code=input.benefit,
                    business_id=till.business.business_id,
                    quantity=input.quantity,
                    ttl_seconds=input.ttl_seconds,
                    outlet=input.outlet,
                    idempotency_key=till.idempotency_key,
                    now=context.now,
                )
        except errors.NotFound as unknown:
            return refused(errors.Malformed(unknown.message, field="benefit"))
        except REFUSALS as no:
            return refused(no)
        if answer.outcome not in DONE:
            return not_done(answer)
        return BenefitHeld(
            hold=strawberry.ID(str(answer.use_id)),
            benefit=answer.benefit_code,
            quantity=answer.quantity,
            remaining=answer.remaining,
            expires_at=answer.used_at + timedelta(seconds=input.ttl_seconds),
            member=member,
        )

    @resolved("Use what a hold has set aside, all or in parts.")
    async def use_held(
        self,
        info: Info,
        input: Given[EndBenefitHoldInput],  # noqa: A002
    ) -> UseHeldResult:
        """Use and commit, or answer why not."""

        async def end(db: AsyncConnection, *, business_id: int, number: int, key: str) -> UseAnswer:
            return await use_held(
                db, business_id=business_id, hold_id=number, quantity=input.quantity,
                idempotency_key=key, now=info.context.now,
            )  # fmt: skip

        answer = await _ended(info.context, input, end)
        if not isinstance(answer, UseAnswer):
            return answer
        return used(answer, Member(member_id=answer.member_id))

    @resolved("Let others use again what a hold has set aside, all or in parts.")
    async def release_held(
        self,
        info: Info,
        input: Given[EndBenefitHoldInput],  # noqa: A002
    ) -> ReleaseHeldResult:
        """Release and commit, or answer why not."""

        async def end(db: AsyncConnection, *, business_id: int, number: int, key: str) -> UseAnswer:
            return await release(
                db, business_id=business_id, hold_id=number, quantity=input.quantity,
                idempotency_key=key, now=info.context.now,
            )  # fmt: skip

        answer = await _ended(info.context, input, end)
        if not isinstance(answer, UseAnswer):
            return answer
        return BenefitReleased(
            benefit=answer.benefit_code,
            quantity=answer.quantity,
            member=Member(member_id=answer.member_id),
        )

    @resolved("Cancel a use, all or in parts: it goes back to the period it was taken from.")
    async def cancel_use(
        self,
        info: Info,
        input: Given[CancelUseInput],  # noqa: A002
    ) -> CancelUseResult:
        """Cancel and commit, or answer why not."""

        async def end(db: AsyncConnection, *, business_id: int, number: int, key: str) -> UseAnswer:
            return await cancel_use(
                db, business_id=business_id, use_id=number, quantity=input.quantity,
                idempotency_key=key, now=info.context.now,
            )  # fmt: skip

        answer = await _ended(info.context, input, end)
        if not isinstance(answer, UseAnswer):
            return answer
        return UseCancelled(
            benefit=answer.benefit_code,
            quantity=answer.quantity,
            left_to_cancel=answer.remaining,
            member=Member(member_id=answer.member_id),
        )
