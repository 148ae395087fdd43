"""Joining: a till scans a member's code or card, and the member has an account there."""

from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import acting_business
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import LONGEST_IDENTIFIER
from graphql_schema.member import Member
from graphql_schema.referrals import ReferralRefused, keep_referral
from graphql_schema.rejections import (
    Forbidden,
    InvalidInput,
    MemberUnknown,
    Rejection,
    member_unknown,
    unfit,
)
from hub import errors
from hub.benefits.referrals.refer import ReferralRefused as Refused
from hub.benefits.referrals.refer import Source
from hub.crypto import join_codes
from hub.members.identifiers import Identifier
from hub.members.join import Joined as Answer
from hub.members.join import Joining, card_number, join, own_number
from hub.members.queries import current_members


@strawberry.input(one_of=True, description="What the member shows. Give one.")
class Shown:
    """A code or a card; the other is unset."""

    code: str | None = strawberry.field(
        default=strawberry.UNSET, description="`Member.joinCode`, as scanned."
    )
    loyalty_id: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="The number on a card of any of the businesses, which had verified it.",
    )


@strawberry.input(description="A member who joins.")
class JoinInput:
    """A request."""

    shown: Shown = strawberry.field(description="What the member shows.")
    external_id: str | None = strawberry.field(
        default=None,
        description="The business's own id for the member; without one the hub keeps an account.",
    )
    business: str | None = strawberry.field(
        default=None, description="The business that is joined; unsaid, the caller's own."
    )
    referral_code: str | None = strawberry.field(
        default=None,
        description="`Member.referralCode` of whoever referred a new member. One that is not taken "
        "undoes the joining: join without it.",
    )


@strawberry.type(description="The member has an account at the business.")
class Joined:
    """Success; again is as well."""

    member: Member = strawberry.field(description="The member, as things stand now.")
    opened: bool = strawberry.field(description="Whether the account is new.")


@strawberry.type(description="The business has another record of the member already: use that one.")
class OtherAccount(Rejection):
    """Nothing was stored."""


@strawberry.type(
    description="The business's record is another member's, who may be the same person: staff will "
    "look at it."
)
class AccountTaken(Rejection):
    """Put to review."""


@strawberry.type(description="The code's time is over: the member shows a new one.")
class JoinCodeEnded(Rejection):
    """Nothing was stored."""


JoinResult = Annotated[
    Joined
    | OtherAccount
    | AccountTaken
    | JoinCodeEnded
    | ReferralRefused
    | MemberUnknown
    | InvalidInput
    | Forbidden,
    strawberry.union("JoinResult", description="What came of joining."),
]


@strawberry.type
class JoiningMutation:
    """Joining at a till."""

    @resolved("Give a member who shows a code or a card an account at the business. A member has "
              "one record at each; doing it again changes nothing.")  # fmt: skip
    async def join(
        self,
        info: Info,
        input: Given[JoinInput],  # noqa: A002
    ) -> JoinResult:
        """Join and commit, or answer why not."""
        context = info.context
        try:
            code = acting_business(context.principal, asked=input.business)
            business_id = (await context.business_by_code(code)).with_a_shop().business_id
            async with context.writing() as db:
                answer = await join(
                    db,
                    identifier=await _identifier(context, db, input.shown, business_id),
                    business_id=business_id,
                    external_id=input.external_id,
                    now=context.now,
                    keyring=context.keyring,
                )
                if input.referral_code is not None and answer.account_id is not None:
                    await keep_referral(
                        db,
                        context,
                        account_id=answer.account_id,
                        typed=input.referral_code,
                        source=Source.TILL,
                    )
        except Refused as no:
            return ReferralRefused.of(no)
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        except errors.Rejected as over:
            return JoinCodeEnded(message=over.message)
        except errors.NotFound:
            return member_unknown()
        return _answered(answer)


async def _identifier(
    context: Context, db: AsyncConnection, shown: Shown, business_id: int
) -> Identifier:
    """Return what was shown as an identifier; raises what reading a code or a card raises."""
    if isinstance(shown.code, str):
        named = join_codes.read(context.keyring, shown.code, now=context.now)
        member_id = (await current_members(db, member_ids=[named])).get(named, named)
        return await own_number(db, member_id=member_id, now=context.now, keyring=context.keyring)
    card = shown.loyalty_id
    if not isinstance(card, str) or not 1 <= len(card) <= LONGEST_IDENTIFIER:
        raise errors.Malformed("give a join code or the number of a card", field="shown")
    return await card_number(db, value=card, business_id=business_id, keyring=context.keyring)


def _answered(answer: Answer) -> Joined | OtherAccount | AccountTaken:
    match answer.joining:
        case Joining.OTHER_ACCOUNT:
            return OtherAccount(message="this business has another record of the member: use it")
        case Joining.TAKEN:
            return AccountTaken(message="the record is another member's; staff will look at it")
        case joining:
            return Joined(
                member=Member(member_id=answer.member_id), opened=joining is Joining.OPENED
            )
