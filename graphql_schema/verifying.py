"""One-time codes: a phone or mailbox is proven to be the member's."""

from datetime import datetime
from typing import Annotated

import strawberry

from graphql_schema.access import VERIFIERS, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import whole_number
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
from hub.crypto.tokens import Principal, Role
from hub.members.confirm_verification import (
    MOST_ATTEMPTS,
    Confirmation,
    Confirmed,
    confirm_verification,
)
from hub.members.identifiers import Kind
from hub.members.queries import first_account
from hub.members.request_verification import request_verification
from hub.members.resolve import check_external_id


@strawberry.input(one_of=True, description="What is to be proven. Give one.")
class Provable:
    """A phone or an email; the other is unset."""

    phone: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="A mobile number; without country code it is read as in the business's "
        "country.",
    )
    email: str | None = strawberry.field(default=strawberry.UNSET, description="An email address.")


@strawberry.input(description="A code to be sent.")
class RequestVerificationInput:
    """A request."""

    identifier: Provable = strawberry.field(description="Where the code goes.")
    external_id: str | None = strawberry.field(
        default=None,
        description="For businesses: their own id for the person, who may be new to the group. A "
        "member asks for themselves.",
    )


@strawberry.input(description="A code that came back.")
class ConfirmVerificationInput:
    """A confirmation."""

    verification: strawberry.ID = strawberry.field(description="What the request answered.")
    code: str = strawberry.field(description="The six digits.")


@strawberry.type(description="A code is on its way. Whether somebody has the phone is not told.")
class VerificationRequested:
    """A code that was sent."""

    verification: strawberry.ID = strawberry.field(description="To confirm it by.")
    expires_at: datetime = strawberry.field(description="From when on the code is worth nothing.")


@strawberry.type(description="Too many codes were asked for. Nothing was sent.")
class TooManyCodes(Rejection):
    """A limit was reached."""

    retry_after_seconds: int = strawberry.field(description="When to try again.")


@strawberry.type(description="The identifier is the member's, verified.")
class IdentifierVerified:
    """Success."""

    member: Member = strawberry.field(description="Whose it is.")


@strawberry.type(
    description="The code was right, and the identifier is another member's, who may be the same "
    "person: staff will look at it."
)
class IdentifierUndecided(Rejection):
    """Put to review."""


@strawberry.type(
    description="The code was right, and the identifier is known to be many people's: it stays "
    "nobody's."
)
class IdentifierShared(Rejection):
    """A desk's phone, a family's mailbox."""


@strawberry.type(description="The code is wrong.")
class CodeWrong(Rejection):
    """A wrong attempt, which counts."""

    attempts_left: int = strawberry.field(description=f"Of {MOST_ATTEMPTS}.")


@strawberry.type(
    description="The code's time is over, a newer one replaced it, or it was wrong too often: ask "
    "for a new one."
)
class CodeEnded(Rejection):
    """Nothing happened."""


@strawberry.type(description="There is no such verification, or it is not the caller's.")
class VerificationUnknown(Rejection):
    """Nothing happened."""


RequestVerificationResult = Annotated[
    VerificationRequested | TooManyCodes | MemberUnknown | InvalidInput | Forbidden,
    strawberry.union("RequestVerificationResult", description="What came of asking for a code."),
]
ConfirmVerificationResult = Annotated[
    IdentifierVerified
    | IdentifierUndecided
    | IdentifierShared
    | CodeWrong
    | CodeEnded
    | VerificationUnknown
    | InvalidInput
    | Forbidden,
    strawberry.union("ConfirmVerificationResult", description="What came of a code."),
]


@strawberry.type
class VerifyingMutation:
    """Codes."""

    @resolved("Send a one-time code of six digits, for the signed-in member or a business's guest.")
    async def request_verification(
        self,
        info: Info,
        input: Given[RequestVerificationInput],  # noqa: A002
    ) -> RequestVerificationResult:
        """Send and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *VERIFIERS)
            kind, value = given_identifier(input.identifier)
            account = await _account(context, caller, input.external_id)
            if account is None:
                return member_unknown()
            async with context.writing() as db:
                asked = await request_verification(
                    db,
                    kind=kind,
                    value=value,
                    business_id=account[0],
                    external_id=account[1],
                    by_member=caller.role is Role.MEMBER,
                    now=context.now,
                    keyring=context.keyring,
                )
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        except errors.Rejected as no:
            seconds = no.facts.get("retry_after_seconds")
            if not isinstance(seconds, int):
                return member_unknown()
            return TooManyCodes(message=no.message, retry_after_seconds=seconds)
        return VerificationRequested(
            verification=strawberry.ID(str(asked.verification_id)), expires_at=asked.expires_at
        )

    @resolved("Confirm a code. A wrong one counts as an attempt.")
    async def confirm_verification(
        self,
        info: Info,
        input: Given[ConfirmVerificationInput],  # noqa: A002
    ) -> ConfirmVerificationResult:
        """Confirm and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *VERIFIERS)
            business_id = await _business_id(context, caller)
            own_id = await context.own_member_id()
            async with context.writing() as db:
                done = await confirm_verification(
                    db,
                    verification_id=whole_number(input.verification, field="verification"),
                    code=input.code,
                    member_id=own_id,
                    business_id=business_id,
                    now=context.now,
                    keyring=context.keyring,
                )
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        except errors.NotFound as unknown:
            return VerificationUnknown(message=unknown.message)
        return _shown(done)


def given_identifier(identifier: Provable) -> tuple[Kind, str]:
    """Return the kind and the text of what was given; raises Malformed for nothing."""
    for kind, value in ((Kind.PHONE, identifier.phone), (Kind.EMAIL, identifier.email)):
        if isinstance(value, str):
            return kind, value
    raise errors.Malformed("give a phone number or an email address", field="identifier")


async def _business_id(context: Context, caller: Principal) -> int | None:
    return (
        None
        if caller.business is None
        else (await context.business_by_code(caller.business)).business_id
    )


async def _account(
    context: Context, caller: Principal, external_id: str | None
) -> tuple[int, str] | None:
    """Return the account that is to have the identifier; None for a member who has none.

    Raises Malformed when a business does not say for whom, or a member says so.
    """
    business_id = await _business_id(context, caller)
    if (business_id is None) is (external_id is not None):
        raise errors.Malformed(
            "a business names its own id for the person, a member asks for themselves",
            field="externalId",
        )
    if business_id is not None and external_id is not None:
        return business_id, check_external_id(external_id)
    own_id = await context.own_member_id()
    if own_id is None:
        return None
    async with context.reading() as db:
        return await first_account(db, member_id=own_id)


def _shown(
    done: Confirmed,
) -> IdentifierVerified | IdentifierUndecided | IdentifierShared | CodeWrong | CodeEnded:
    match done.confirmation:
        case Confirmation.VERIFIED if done.member_id is not None:
            return IdentifierVerified(member=Member(member_id=done.member_id))
        case Confirmation.UNDECIDED:
            return IdentifierUndecided(
                message="the code is right; another member has it, and staff will look at it"
            )
        case Confirmation.SHARED:
            return IdentifierShared(message="the code is right; many people give it as theirs")
        case Confirmation.WRONG_CODE:
            return CodeWrong(
                message=f"the code is wrong: {done.attempts_left} attempts are left",
                attempts_left=done.attempts_left,
            )
        case Confirmation.ENDED:
            return CodeEnded(message="the code is worth nothing any more: ask for a new one")
        case other:
            raise RuntimeError(f"{other} is no answer to a code")
