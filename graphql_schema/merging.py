"""Merging members who are one person, and splitting those who are not. For staff."""

from enum import Enum
from typing import Annotated

import strawberry
from strawberry import relay

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import node_key
from graphql_schema.member import Member
from graphql_schema.rejections import (
    Forbidden,
    InvalidInput,
    MemberUnknown,
    Rejection,
    member_unknown,
    unfit,
)
from hub import errors
from hub.intake.merge_members import InPool, merge_members
from hub.intake.split_members import Righted, split_members
from hub.ledger.post import HeldAcross
from hub.members.link_members import MemberErased, SameMember, SecondAccount, SetApart
from hub.members.unlink_members import CannotSplit
from hub.points.checks import reasoned


@strawberry.input(description="Members who are one person.")
class MergeMembersInput:
    """A merge."""

    members: list[relay.GlobalID] = strawberry.field(
        description="Node ids of two members or more; the oldest one's number stays."
    )
    reason: str = strawberry.field(description="Why; kept, and it must not name the person.")
    despite_non_match: bool = strawberry.field(
        default=False, description="Whether to merge what was said to be two people."
    )


@strawberry.input(description="Accounts that are somebody else's.")
class SplitMembersInput:
    """A split."""

    member: relay.GlobalID = strawberry.field(description="Node id of the member.")
    accounts: list[relay.GlobalID] = strawberry.field(
        description="Node ids of accounts that leave; what was born with them leaves too."
    )
    reason: str = strawberry.field(description="Why; kept, and it must not name the person.")


@strawberry.enum(description="Why members are not merged or split.")
class MergingRefusal(Enum):
    """What stands against it."""

    SAME_MEMBER = strawberry.enum_value(SameMember.code, description="They are one member.")
    ERASED = strawberry.enum_value(MemberErased.code, description="One of them was erased.")
    SET_APART = strawberry.enum_value(
        SetApart.code, description="They were said to be two people; `despiteNonMatch` overrules."
    )
    SECOND_ACCOUNT = strawberry.enum_value(
        SecondAccount.code, description="There would be two accounts at one business."
    )
    IN_POOL = strawberry.enum_value(InPool.code, description="One is in a pool: leave it first.")
    CANNOT_SPLIT = strawberry.enum_value(
        CannotSplit.code, description="The accounts are not some of several that were merged."
    )
    HELD_ACROSS = strawberry.enum_value(
        HeldAcross.code, description="Points of the one are held for the other: end that first."
    )


@strawberry.type(description="Nothing was changed.")
class MergingRefused(Rejection):
    """A refusal."""

    reason: MergingRefusal = strawberry.field(description="Why.")


@strawberry.type(description="They are one member now.")
class MembersMerged:
    """Success."""

    member: Member = strawberry.field(description="Who they are, as things stand now.")
    merged: list[strawberry.ID] = strawberry.field(
        description="The numbers that lead there from now on."
    )


@strawberry.type(description="What a split put right for an account.")
class SplitAccount:
    """What others had spent of it, and what it had spent of others."""

    account: strawberry.ID = strawberry.field(description="The account's number.")
    unit: int = strawberry.field(description="Number of the unit of points.")
    returned: int = count("Points that others had spent of it and that came back.")
    given: int = count("Points that it gave for what it had spent of others.")
    owed: int = count("Points that it had no more to give, and owes: a receivable.")

    @classmethod
    def of(cls, row: Righted) -> "SplitAccount":
        """Show one."""
        return cls(
            account=strawberry.ID(str(row.account_id)),
            unit=row.unit,
            returned=row.returned,
            given=row.given,
            owed=row.owed,
        )


@strawberry.type(description="They are members of their own again.")
class MembersSplit:
    """Success."""

    members: list[Member] = strawberry.field(description="Who there now is; the first stays.")
    accounts: list[SplitAccount] = strawberry.field(
        description="What was put right; accounts that spent nothing of others are left out."
    )


MergeMembersResult = Annotated[
    MembersMerged | MergingRefused | MemberUnknown | InvalidInput | Forbidden,
    strawberry.union("MergeMembersResult", description="What came of a merge."),
]
SplitMembersResult = Annotated[
    MembersSplit | MergingRefused | MemberUnknown | InvalidInput | Forbidden,
    strawberry.union("SplitMembersResult", description="What came of a split."),
]


@strawberry.type
class MergingMutation:
    """Who is one person, as staff know it."""

    @resolved("Make one member of several, with their points, tiers and accounts. It can be undone "
              "by a split. For staff.")  # fmt: skip
    async def merge_members(
        self,
        info: Info,
        input: Given[MergeMembersInput],  # noqa: A002
    ) -> MergeMembersResult:
        """Merge and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            reasoned(input.reason)
            named = [node_key(one, "Member", parts=1, field="members")[0] for one in input.members]
            async with context.writing() as db:
                done = await merge_members(
                    db,
                    member_ids=named,
                    method="staff",
                    actor=caller.subject,
                    now=context.now,
                    reason=input.reason,
                    despite_non_match=input.despite_non_match,
                )
        except errors.NotFound:
            return member_unknown()
        except errors.Rejected as no:
            return MergingRefused(message=no.message, reason=MergingRefusal(no.code))
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        return MembersMerged(
            member=Member(member_id=done.member_id),
            merged=[strawberry.ID(str(one)) for one in done.absorbed],
        )

    @resolved("Let accounts leave a member, as if they had never been merged with it. For staff.")
    async def split_members(
        self,
        info: Info,
        input: Given[SplitMembersInput],  # noqa: A002
    ) -> SplitMembersResult:
        """Split and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            reasoned(input.reason)
            (member_id,) = node_key(input.member, "Member", parts=1, field="member")
            leaving = [
                node_key(one, "Account", parts=2, field="accounts")[1] for one in input.accounts
            ]
            async with context.writing() as db:
                done = await split_members(
                    db,
                    member_id=member_id,
                    account_ids=leaving,
                    actor=caller.subject,
                    now=context.now,
                    reason=input.reason,
                )
        except errors.NotFound:
            return member_unknown()
        except errors.Rejected as no:
            return MergingRefused(message=no.message, reason=MergingRefusal(no.code))
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        return MembersSplit(
            members=[Member(member_id=side.member_id) for side in done.sides],
            accounts=[SplitAccount.of(row) for row in done.righted],
        )
