"""Saying who referred oneself: for a new member who has signed in."""

from typing import Annotated

import strawberry

from graphql_schema import access
from graphql_schema.context import Info
from graphql_schema.fields import Given, resolved
from graphql_schema.member import Member
from graphql_schema.referrals import ReferralRefused, ReferrerNamed, keep_referral
from graphql_schema.rejections import (
    Forbidden,
    InvalidInput,
    MemberUnknown,
    member_unknown,
    unfit,
)
from hub import errors
from hub.benefits.referrals.refer import ReferralRefused as Refused
from hub.benefits.referrals.refer import Source, own_account
from hub.crypto.tokens import Role
from hub.members.queries import current_members


@strawberry.input(description="Who referred the member that is signed in.")
class NameReferrerInput:
    """A request."""

    referral_code: str = strawberry.field(
        description="`Member.referralCode` of the one who did, as it was typed."
    )


NameReferrerResult = Annotated[
    ReferrerNamed | ReferralRefused | MemberUnknown | InvalidInput | Forbidden,
    strawberry.union("NameReferrerResult", description="What came of naming a referrer."),
]


@strawberry.type
class ReferringMutation:
    """Naming a referrer."""

    @resolved("Say who referred the member that is signed in: once, soon after joining, before "
              "anything is bought. Said again it changes nothing.")  # fmt: skip
    async def name_referrer(
        self,
        info: Info,
        input: Given[NameReferrerInput],  # noqa: A002
    ) -> NameReferrerResult:
        """Keep the referral and commit, or answer why not."""
        context = info.context
        try:
            own = access.require(context.principal, Role.MEMBER).member_id or 0
            async with context.writing() as db:
                member_id = (await current_members(db, member_ids=[own])).get(own, own)
                account_id = await own_account(db, member_id=member_id)
                if account_id is None:
                    raise errors.NotFound("there is no such member", field="member")
                await keep_referral(
                    db,
                    context,
                    account_id=account_id,
                    typed=input.referral_code,
                    source=Source.MEMBER,
                )
        except Refused as no:
            return ReferralRefused.of(no)
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        except errors.NotFound:
            return member_unknown()
        return ReferrerNamed(member=Member(member_id=member_id))
