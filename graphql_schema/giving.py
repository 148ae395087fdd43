"""Giving points to another member."""

from typing import Annotated

import strawberry
from strawberry import relay

from graphql_schema.access import GIVERS
from graphql_schema.context import Context, Info
from graphql_schema.desk import BUSINESS, FOR_WHOM, KEY, open_books
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey, find_by, node_key
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    InsufficientPoints,
    LimitReached,
    MemberUnknown,
    Refused,
    member_unknown,
    not_moved,
    refused,
)
from graphql_schema.till import receipt
from hub import errors
from hub.ledger.codes import Outcome
from hub.members.queries import current_members
from hub.points.acting_account import acting_account
from hub.points.transfer import transfer


@strawberry.input(description="Points to give to another member.")
class TransferInput:
    """A transfer."""

    receiver: MemberKey = strawberry.field(description="Who gets them.")
    points: int = count("How many points.")
    idempotency_key: str = strawberry.field(description=KEY)
    member: MemberKey | None = strawberry.field(default=None, description=FOR_WHOM)
    business: str | None = strawberry.field(default=None, description=BUSINESS)


@strawberry.type(description="Points went to another member, with issuer and last day.")
class Transferred:
    """A transfer that was posted."""

    transaction: strawberry.ID = strawberry.field(description="Number of the transaction.")
    points: int = count("How many points were given.")
    member: Member = strawberry.field(description="Who gave them, as things stand now.")


TransferResult = Annotated[
    Transferred | InsufficientPoints | LimitReached | MemberUnknown | Refused,
    strawberry.union("TransferResult", description="What came of a transfer."),
]


@strawberry.type
class GivingMutation:
    """What members give each other."""

    @resolved("Give points to another member, within the year's limits. For members, and for staff "
              "who act for one.")  # fmt: skip
    async def transfer(self, info: Info, input: Given[TransferInput]) -> TransferResult:  # noqa: A002
        """Transfer and commit, or answer why not."""
        context = info.context
        try:
            desk, business = await open_books(context, input, roles=GIVERS)
            receiver_id = await _receiver(context, input.receiver)
            if receiver_id is None:
                return member_unknown()
            giver_id = desk.member.member_id
            async with context.writing() as db:
                answer = await transfer(
                    db,
                    business_id=business.business_id,
                    member_id=giver_id,
                    receiver_id=receiver_id,
                    account_id=await acting_account(
                        db, member_id=giver_id, business_id=business.business_id
                    ),
                    points=input.points,
                    idempotency_key=desk.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(business),
                    today=desk.today,
                    now=context.now,
                )
        except errors.NotFound:
            return member_unknown()
        except REFUSALS as no:
            return refused(no)
        if answer.outcome is not Outcome.POSTED:
            return not_moved(answer)
        return Transferred(transaction=receipt(answer), points=answer.points, member=desk.member)


async def _receiver(context: Context, key: MemberKey) -> int | None:
    """Return to whom points go. Whoever gives them need not be allowed to see them."""
    if isinstance(key.id, relay.GlobalID):
        (member_id,) = node_key(key.id, "Member", parts=1, field="receiver")
        async with context.writing() as db:  # the owner's: as the caller it would see itself alone
            return (await current_members(db, member_ids=[member_id])).get(member_id)
    found = await find_by(context, key, field="receiver")
    return None if found is None else found.member_id
