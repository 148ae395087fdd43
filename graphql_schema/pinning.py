"""What staff decide of how members are shown: pins, and whose word is believed."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from graphql_schema.access import ADMINS, CORRECTORS, require
from graphql_schema.attributes import PersonalAttribute
from graphql_schema.context import Info
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import MemberKey, node_key, reached_member
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
)
from hub import errors
from hub.members.pin_attribute import NothingToPin, pin_attribute
from hub.members.unpin_attribute import unpin_attribute
from hub.programme.rank_sources import rank_sources


@strawberry.input(
    description="What is to be shown of a member's attribute: what one of the accounts says, or a "
    "value of staff's own."
)
class PinAttributeInput:
    """A pin."""

    member: MemberKey = strawberry.field(description="Whose attribute.")
    attribute: PersonalAttribute = strawberry.field(description="Which.")
    reason: str = strawberry.field(description="Why; kept with the pin.")
    account: relay.GlobalID | None = strawberry.field(
        default=None,
        description="The account whose value is shown, now and later; with `value`, the account "
        "that it is kept with.",
    )
    value: str | None = strawberry.field(
        default=None, description="Staff's own value; sealed like what businesses say."
    )


@strawberry.input(description="A pin to end.")
class UnpinAttributeInput:
    """The end of a pin."""

    member: MemberKey = strawberry.field(description="Whose attribute.")
    attribute: PersonalAttribute = strawberry.field(description="Which.")
    reason: str = strawberry.field(description="Why; kept with the pin.")


@strawberry.input(description="Whose word on an attribute is believed more.")
class RankSourcesInput:
    """A version of a ranking."""

    attribute: PersonalAttribute = strawberry.field(description="Which.")
    businesses: list[str] = strawberry.field(
        description="Codes of businesses, the most believed first; others come after them."
    )
    effective_from: datetime | None = strawberry.field(
        default=None, description="From when on; unsaid: from now on."
    )


@strawberry.type(description="The attribute is shown as was asked.")
class AttributePinned:
    """A pin that stands, or has ended."""

    member: Member = strawberry.field(description="The member, as shown now.")


@strawberry.type(description="The account says nothing of the attribute, or is not the member's.")
class NothingPinned(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The ranking is on record.")
class SourcesRanked:
    """A version that was added, or was there."""

    effective_from: datetime = strawberry.field(description="From when on it holds.")


PinAttributeResult = Annotated[
    AttributePinned | NothingPinned | MemberUnknown | Refused,
    strawberry.union("PinAttributeResult", description="What came of a pin."),
]
UnpinAttributeResult = Annotated[
    AttributePinned | MemberUnknown | Refused,
    strawberry.union("UnpinAttributeResult", description="What came of ending a pin."),
]
RankSourcesResult = Annotated[
    SourcesRanked | Refused,
    strawberry.union("RankSourcesResult", description="What came of a ranking."),
]


@strawberry.type
class PinningMutation:
    """How staff decide what is shown."""

    @resolved("Pin what is shown of a member's attribute, whatever the rules would choose. For "
              "staff; the same again changes nothing.")  # fmt: skip
    async def pin_attribute(
        self,
        info: Info,
        input: Given[PinAttributeInput],  # noqa: A002
    ) -> PinAttributeResult:
        """Pin and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            member = await reached_member(context, input.member)
            if member is None:
                return member_unknown()
            async with context.writing() as db:
                member_id = await pin_attribute(
                    db,
                    member_id=member.member_id,
                    attribute=input.attribute.name.lower(),
                    account_id=_account(input.account),
                    value=input.value,
                    actor=caller.subject,
                    reason=input.reason,
                    now=context.now,
                    keyring=context.keyring,
                )
        except NothingToPin as nothing:
            return NothingPinned(message=nothing.message)
        except errors.NotFound:
            return member_unknown()
        except REFUSALS as no:
            return refused(no)
        return AttributePinned(member=Member(member_id=member_id))

    @resolved("Let the rules choose again what is shown of an attribute. For staff; without a pin "
              "nothing changes.")  # fmt: skip
    async def unpin_attribute(
        self,
        info: Info,
        input: Given[UnpinAttributeInput],  # noqa: A002
    ) -> UnpinAttributeResult:
        """End the pin and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            member = await reached_member(context, input.member)
            if member is None:
                return member_unknown()
            async with context.writing() as db:
                member_id = await unpin_attribute(
                    db,
                    member_id=member.member_id,
                    attribute=input.attribute.name.lower(),
                    actor=caller.subject,
                    reason=input.reason,
                    now=context.now,
                )
        except errors.NotFound:
            return member_unknown()
        except REFUSALS as no:
            return refused(no)
        return AttributePinned(member=Member(member_id=member_id))

    @resolved("Say whose word on an attribute is believed more, from an instant on. For admins; "
              "the same version again changes nothing.")  # fmt: skip
    async def rank_sources(
        self,
        info: Info,
        input: Given[RankSourcesInput],  # noqa: A002
    ) -> RankSourcesResult:
        """Add the version and commit, or answer why not."""
        context = info.context
        effective_from = input.effective_from or context.now
        try:
            caller = require(context.principal, *ADMINS)
            async with context.writing() as db:
                await rank_sources(
                    db,
                    attribute=input.attribute.name.lower(),
                    businesses=input.businesses,
                    effective_from=effective_from,
                    ranked_by=caller.subject,
                )
        except errors.NotFound as unknown:
            return refused(errors.Malformed(unknown.message, field="businesses"))
        except REFUSALS as no:
            return refused(no)
        return SourcesRanked(effective_from=effective_from)


def _account(given: relay.GlobalID | None) -> int | None:
    if given is None:
        return None
    _, account_id = node_key(given, "Account", parts=2, field="account")
    return account_id
