"""What members say yes or no to, recorded; and members erased, by staff."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.access import CONSENT_RECORDERS, CORRECTORS, consent_business, require
from graphql_schema.consents import ConsentPurpose
from graphql_schema.context import Context, Info
from graphql_schema.desk import business_named
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey, reached_member
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    Forbidden,
    IdempotencyConflict,
    InvalidInput,
    MemberUnknown,
    Rejection,
    member_unknown,
    refused,
)
from hub import errors
from hub.crypto.tokens import Principal, Role
from hub.points.forfeit import PointsHeld
from hub.privacy.consent import Purpose, say
from hub.rights.erase import ErasureForbidden, PointsLeft, erase


@strawberry.input(description="What a member said.")
class RecordConsentInput:
    """A consent given or withdrawn."""

    business: str = strawberry.field(
        description="Code of a business of the legal entity it was said to; a business records "
        "only what was said to its own."
    )
    purpose: ConsentPurpose = strawberry.field(description="What for.")
    given: bool = strawberry.field(description="Whether the member agrees; false: withdraws.")
    text_version: str = strawberry.field(
        description="The version of the words that were put to the member."
    )
    source: str = strawberry.field(description="Where it was said: an app, a form, a till.")
    member: MemberKey | None = strawberry.field(
        default=None, description="Who said it; unsaid, the member who is signed in."
    )
    said_at: datetime | None = strawberry.field(
        default=None, description="When it was said; unsaid: now. The latest holds."
    )


@strawberry.type(description="It is on record.")
class ConsentRecorded:
    """A consent that is kept."""

    member: Member = strawberry.field(description="The member, as things stand now.")


RecordConsentResult = Annotated[
    ConsentRecorded | MemberUnknown | IdempotencyConflict | InvalidInput | Forbidden,
    strawberry.union("RecordConsentResult", description="What came of recording a consent."),
]


@strawberry.input(description="A member to forget for ever.")
class EraseMemberInput:
    """An erasure."""

    member: MemberKey = strawberry.field(description="Whom.")
    reason: str = strawberry.field(description="Why; kept, and it must not name the person.")
    forfeit_points: bool = strawberry.field(
        default=False, description="Whether points that the member still has may end."
    )


@strawberry.enum(description="Why a member is not erased now.")
class ErasureRefusal(Enum):
    """What stands against an erasure."""

    RETAINED = strawberry.enum_value("retained", description="A retention forbids it.")
    POINTS_LEFT = strawberry.enum_value(
        "points_left", description="There are points, and nobody said that they may end."
    )
    POINTS_HELD = strawberry.enum_value("points_held", description="Points are held at a till.")


@strawberry.type(description="The member is not erased now. Nothing was changed.")
class ErasureRefused(Rejection):
    """A refusal."""

    reason: ErasureRefusal = strawberry.field(description="Why.")


@strawberry.type(description="The member is forgotten; its number and its entries stay.")
class MemberErased:
    """An erasure that was done."""

    number: strawberry.ID = strawberry.field(description="The number that the member had.")
    erased_at: datetime = strawberry.field(description="When.")
    points: int = count("How many spendable points ended with it.")


EraseMemberResult = Annotated[
    MemberErased | ErasureRefused | MemberUnknown | InvalidInput | Forbidden | IdempotencyConflict,
    strawberry.union("EraseMemberResult", description="What came of an erasure."),
]
_REASONS = {
    ErasureForbidden: ErasureRefusal.RETAINED,
    PointsLeft: ErasureRefusal.POINTS_LEFT,
    PointsHeld: ErasureRefusal.POINTS_HELD,
}


@strawberry.type
class PrivacyMutation:
    """What concerns a person's data."""

    @resolved("Record that a member gave or withdrew a consent. A member records its own, a "
              "business what was said to its legal entity, staff anybody's.")  # fmt: skip
    async def record_consent(
        self,
        info: Info,
        input: Given[RecordConsentInput],  # noqa: A002
    ) -> RecordConsentResult:
        """Record and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CONSENT_RECORDERS)
            code = consent_business(caller, asked=input.business)
            entity_id = (await business_named(context, code)).legal_entity_id
            member = await _who_said(context, caller, input.member)
            if member is None:
                return member_unknown()
            async with context.writing() as db:
                await say(
                    db,
                    member_id=member.member_id,
                    legal_entity_id=entity_id,
                    purpose=Purpose[input.purpose.name],
                    given=input.given,
                    source=input.source,
                    text_version=input.text_version,
                    recorded_by=caller.subject,
                    said_at=input.said_at or context.now,
                    now=context.now,
                )
        except errors.NotFound:
            return member_unknown()
        except REFUSALS as no:
            return refused(no)
        return ConsentRecorded(member=member)

    @resolved("Forget who a member is, for ever: the ledger stays and names nobody. For staff.")
    async def erase_member(
        self,
        info: Info,
        input: Given[EraseMemberInput],  # noqa: A002
    ) -> EraseMemberResult:
        """Erase and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            member = await reached_member(context, input.member)
            if member is None:
                return member_unknown()
            today = await context.load.today()
            async with context.writing() as db:
                done = await erase(
                    db,
                    member_id=member.member_id,
                    reason=input.reason,
                    erased_by=caller.subject,
                    forfeit_points=input.forfeit_points,
                    today=today,
                    now=context.now,
                    keyring=context.keyring,
                )
        except (ErasureForbidden, PointsLeft, PointsHeld) as no:
            return ErasureRefused(message=no.message, reason=_REASONS[type(no)])
        except errors.NotFound:
            return member_unknown()
        except REFUSALS as no:
            return refused(no)
        return MemberErased(
            number=strawberry.ID(str(done.member_id)), erased_at=done.erased_at, points=done.points
        )


async def _who_said(context: Context, caller: Principal, asked: MemberKey | None) -> Member | None:
    """Return the member; one who is signed in speaks for itself alone."""
    if caller.role is not Role.MEMBER:
        if asked is None:
            raise errors.Malformed("say which member", field="member")
        return await reached_member(context, asked)
    own_id = await context.own_member_id()
    if own_id is None:
        return None
    found = Member(member_id=own_id) if asked is None else await reached_member(context, asked)
    return found if found is not None and found.member_id == own_id else None
