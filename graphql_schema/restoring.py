"""Giving points back at a till, when what they paid for is refunded."""

from typing import Annotated, Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.context import Info
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey, reached_member
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    MemberUnknown,
    RedemptionExceeded,
    RedemptionUnknown,
    Refused,
    member_unknown,
    not_restored,
    refused,
)
from graphql_schema.till import open_till, receipt, transaction_number
from hub.ledger.codes import Outcome
from hub.ledger.post import Answer
from hub.points.restore import restore
from hub.points.restore_to_pool import find_pool_redemption, restore_to_pool


@strawberry.input(description="Points of a redemption to give back.")
class RestoreInput:
    """A restore."""

    member: MemberKey = strawberry.field(description="Who had spent them.")
    transaction: strawberry.ID = strawberry.field(
        description="The number on the receipt: `transaction` of the redemption or capture."
    )
    points: int = count("How many points to give back, of those that were spent.")
    idempotency_key: str = strawberry.field(description="As for `redeem`.")
    business: str | None = strawberry.field(
        default=None, description="The business that acts; unsaid, the caller's own."
    )


@strawberry.type(description="Points are back in the lots they came from.")
class Restored:
    """A restore that was posted."""

    transaction: strawberry.ID = strawberry.field(description="Number for the receipt.")
    points: int = count("How many points were given back.")
    member: Member = strawberry.field(description="The member, as things stand now.")


RestoreResult = Annotated[
    Restored | RedemptionUnknown | RedemptionExceeded | MemberUnknown | Refused,
    strawberry.union("RestoreResult", description="What came of a restore."),
]


@strawberry.type
class RestoringMutation:
    """What a till gives back."""

    @resolved("Give back points that paid for something now refunded, all or in parts. A lot that "
              "has expired meanwhile lives on for the group's days of grace. What a pool had paid "
              "goes back to the pool; once that is closed, to who had spent it.")  # fmt: skip
    async def restore(self, info: Info, input: Given[RestoreInput]) -> RestoreResult:  # noqa: A002
        """Restore and commit, or answer why not."""
        context = info.context
        try:
            till = await open_till(
                context, business=input.business, idempotency_key=input.idempotency_key
            )
            number = transaction_number(input.transaction, field="transaction")
            member = await reached_member(context, input.member)
            if member is None:
                return member_unknown()
            policy = (await context.load.policies()).points(context.now)
            async with context.writing() as db:
                answer = await _restore(
                    db,
                    member_id=member.member_id,
                    business_id=till.business.business_id,
                    redemption_tx=number,
                    points=input.points,
                    idempotency_key=till.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(till.business),
                    today=till.today,
                    now=context.now,
                    grace_days=policy.restore_grace_days,
                )
        except REFUSALS as no:
            return refused(no, reference="transaction")
        if answer.outcome is not Outcome.POSTED:
            return not_restored(answer)
        return Restored(transaction=receipt(answer), points=answer.points, member=member)


async def _restore(
    db: AsyncConnection, *, member_id: int, business_id: int, redemption_tx: int, **facts: Any
) -> Answer:
    """Give back to whoever paid: a pool that the member is or was in, else the member."""
    redemption = await find_pool_redemption(
        db, business_id=business_id, member_id=member_id, redemption_tx=redemption_tx
    )
    facts |= {"business_id": business_id, "redemption_tx": redemption_tx}
    if redemption is not None:
        return await restore_to_pool(db, redemption=redemption, **facts)
    return await restore(db, member_id=member_id, **facts)
