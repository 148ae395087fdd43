"""What a member is owed by law: a copy of everything held about it; and what forbids an erasure."""

import asyncio
from datetime import datetime
from typing import Annotated

import strawberry
import structlog

from graphql_schema.access import CORRECTORS, STATEMENT_READERS, require
from graphql_schema.audit import record
from graphql_schema.context import Context, Info
from graphql_schema.cost import EXPORT_COST
from graphql_schema.desk import KEY, open_desk
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import MemberKey, reached_member, whole_number
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    Forbidden,
    InvalidInput,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
    unfit,
)
from graphql_schema.retentions import Retention
from graphql_schema.scalars import Long
from hub import errors
from hub.audit.chain import Read
from hub.crypto.tokens import Principal, Role, Scope
from hub.privacy import release_retention as releasing
from hub.privacy import retain as retaining
from hub.rights.audience import Audience
from hub.rights.export import EVERYTHING, ExportTooLarge, export, unopened_in, write

log = structlog.get_logger(__name__)

MOST_BYTES = 8 * 2**20
"""Of a document that is answered; an operator writes larger ones to a file."""


@strawberry.input(description="Of whom a copy of everything is asked for.")
class ExportMemberInput:
    """An export."""

    member: MemberKey | None = strawberry.field(
        default=None,
        description="Of whom; unsaid, the member who is signed in. Only staff ask for others.",
    )


@strawberry.type(description="A copy of everything held about a member. The copy is on record.")
class MemberExported:
    """An export."""

    member: Member = strawberry.field(description="The member, as things stand now.")
    taken_at: datetime = strawberry.field(description="When it was taken, of one moment.")
    format: str = strawberry.field(description="What the document is, with its version.")
    document: str = strawberry.field(
        description="The document, JSON as text, to be kept as a file as it is: money is exact as "
        "text, and numbers of transactions are larger than some readers of JSON can hold. A member "
        "is told neither what staff wrote for each other nor what its data is kept for."
    )
    unopened_deliveries: int = strawberry.field(
        graphql_type=Long,
        description="How many of the deliveries that are kept of the member's businesses no key "
        "opens any more: they may tell of the member, and are missing in the document, which "
        "counts them by business. 0: it is whole.",
    )


@strawberry.type(description="The document is too large to be answered: an operator writes it.")
class MemberExportTooLarge(Rejection):
    """Nothing is shown."""


ExportMemberResult = Annotated[
    MemberExported | MemberExportTooLarge | MemberUnknown | InvalidInput | Forbidden,
    strawberry.union("ExportMemberResult", description="What came of asking for a copy."),
]


@strawberry.input(description="Why a member may not be erased, and until when.")
class RetainMemberInput:
    """A retention."""

    member: MemberKey = strawberry.field(description="Whom.")
    reason: str = strawberry.field(
        description="Why, in words that can be shown to an auditor; it must not name the person."
    )
    idempotency_key: str = strawberry.field(description=KEY)
    ends_at: datetime | None = strawberry.field(
        default=None, description="From when it no longer holds; unsaid: until it is released."
    )


@strawberry.input(description="A retention whose reason is over.")
class ReleaseRetentionInput:
    """A release."""

    retention: strawberry.ID = strawberry.field(description="The retention's number.")
    reason: str = strawberry.field(
        description="Why it is over, in words that can be shown to an auditor; it must not name "
        "the person."
    )


@strawberry.type(description="The retention stands as it says.")
class MemberRetained:
    """What was placed, or released."""

    retention: Retention = strawberry.field(description="The retention, as it stands now.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="There is no such retention.")
class RetentionUnknown(Rejection):
    """Nothing was stored."""


RetainMemberResult = Annotated[
    MemberRetained | MemberUnknown | Refused,
    strawberry.union("RetainMemberResult", description="What came of placing a retention."),
]
ReleaseRetentionResult = Annotated[
    MemberRetained | RetentionUnknown | InvalidInput | Forbidden,
    strawberry.union("ReleaseRetentionResult", description="What came of releasing one."),
]


@strawberry.type
class RightsMutation:
    """Copies of everything, and what forbids an erasure."""

    @resolved("Take a copy of everything held about a member: a member of itself, staff of "
              "anybody. It is dear: one fits in an operation; while others are taken it can be "
              "`unavailable`.", costs=EXPORT_COST)  # fmt: skip
    async def export_member(
        self,
        info: Info,
        input: Given[ExportMemberInput],  # noqa: A002
    ) -> ExportMemberResult:
        """Read at one moment, put it on record, and only then answer with it."""
        context = info.context
        try:
            caller = require(context.principal, *STATEMENT_READERS, scope=Scope.MEMBERS_READ)
            require(caller, *STATEMENT_READERS, scope=Scope.MEMBERS_PERSONAL)
            member_id = await _of_whom(context, caller, input.member)
            if member_id is None:
                return member_unknown()
            return await _exported(context, caller, member_id)
        except ExportTooLarge as no:
            return MemberExportTooLarge(message=no.message)
        except errors.NotFound:
            return member_unknown()
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)

    @resolved("Forbid that a member is erased, for a reason and a time. For staff.")
    async def retain_member(
        self,
        info: Info,
        input: Given[RetainMemberInput],  # noqa: A002
    ) -> RetainMemberResult:
        """Place a retention and commit, or answer why not."""
        context = info.context
        try:
            desk = await open_desk(
                context,
                roles=CORRECTORS,
                member=input.member,
                idempotency_key=input.idempotency_key,
            )
            async with context.writing() as db:
                placed = await retaining.retain(
                    db,
                    member_id=desk.member.member_id,
                    reason=input.reason,
                    placed_by=desk.caller.subject,
                    ends_at=input.ends_at,
                    now=context.now,
                    idempotency_key=desk.idempotency_key,
                )
        except errors.NotFound:
            return member_unknown()
        except REFUSALS as no:
            return refused(no)
        return MemberRetained(retention=Retention.of(placed, now=context.now), member=desk.member)

    @resolved("Lift what forbids that a member is erased. For staff; to release twice is to "
              "release once.")  # fmt: skip
    async def release_retention(
        self,
        info: Info,
        input: Given[ReleaseRetentionInput],  # noqa: A002
    ) -> ReleaseRetentionResult:
        """Release and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            retention_id = whole_number(input.retention, field="retention")
            async with context.writing() as db:
                lifted = await releasing.release_retention(
                    db,
                    retention_id=retention_id,
                    released_by=caller.subject,
                    reason=input.reason,
                    now=context.now,
                )
            now_id = await context.load.members.load(lifted.member_id)
        except errors.NotFound as unknown:
            return RetentionUnknown(message=unknown.message)
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        return MemberRetained(
            retention=Retention.of(lifted, now=context.now),
            member=Member(member_id=now_id or lifted.member_id),
        )


async def _of_whom(context: Context, caller: Principal, asked: MemberKey | None) -> int | None:
    """Return of whom a copy is taken, None for a member whom the caller may not ask for.

    A member is named by its own number: whom that leads to is seen where the copy is read, so that
    a split meanwhile leaves it nothing of another's.
    """
    found = None if asked is None else await reached_member(context, asked)
    if caller.role is Role.MEMBER:
        own_id = await context.own_member_id()
        other = asked is not None and (found is None or found.member_id != own_id)
        return None if own_id is None or other else caller.member_id
    if asked is None:
        raise errors.Malformed("say which member", field="member")
    return None if found is None else found.member_id


async def _exported(context: Context, caller: Principal, member_id: int) -> MemberExported:
    async with context.surveying() as db:
        document = await export(
            db,
            member_id=member_id,
            now=context.now,
            keyring=context.keyring,
            audience=Audience.MEMBER if caller.role is Role.MEMBER else Audience.STAFF,
            most_bytes=MOST_BYTES,
        )
    unopened = unopened_in(document)
    if unopened:
        log.warning("copy_not_whole", unopened_deliveries=unopened)
    written = await asyncio.to_thread(write, document, most_bytes=MOST_BYTES)
    read = Read(
        member_id=document["member"],
        attribute=EVERYTHING,
        subject=caller.subject,
        role=caller.role.value,
        read_at=context.now,
    )
    context.reads.append(read)
    await record(context)
    return MemberExported(
        member=Member(member_id=read.member_id),
        taken_at=context.now,
        format=document["format"],
        document=written.decode(),
        unopened_deliveries=sum(unopened.values()),
    )
