"""A member's own sign-ins: where one is signed in, with which passkeys, and how to end it."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.access import require
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import whole_number
from graphql_schema.rejections import Forbidden, InvalidInput, Rejection, unfit
from hub import errors
from hub.callers.end_sessions import end_sessions
from hub.callers.passkey_queries import passkeys
from hub.callers.remove_passkey import remove_passkey
from hub.callers.session_queries import sessions
from hub.crypto.tokens import Role


@strawberry.enum(description="What a member signed in with.")
class SignInMethod(Enum):
    """How a session began."""

    CODE = strawberry.enum_value("code", description="A one-time code to their phone or mailbox.")
    PASSKEY = strawberry.enum_value("passkey", description="A passkey of their device.")


@strawberry.type(description="A sign-in on one device that goes on.")
class Session:
    """A session."""

    id: strawberry.ID = strawberry.field(description="To end it by.")
    began_at: datetime = strawberry.field(description="When the member signed in.")
    began_by: SignInMethod = strawberry.field(description="What with.")
    used_at: datetime = strawberry.field(description="When it was last gone on with.")
    expires_at: datetime = strawberry.field(description="When it ends, however it is used.")
    current: bool = strawberry.field(description="Whether it is the one that asks.")


@strawberry.type(description="A key of a member's device that signs in.")
class Passkey:
    """A passkey."""

    id: strawberry.ID = strawberry.field(description="To remove it by.")
    name: str = strawberry.field(description="What the member calls it.")
    added_at: datetime = strawberry.field(description="Since when it signs in.")
    used_at: datetime | None = strawberry.field(description="When it last did; null: never yet.")


@strawberry.input(description="Sessions to end. Their access tokens end within seconds.")
class EndSessionsInput:
    """What to sign out of."""

    session: strawberry.ID | None = strawberry.field(
        default=None, description="The one; unsaid: all but the one that asks."
    )


@strawberry.input(description="A passkey to remove.")
class RemovePasskeyInput:
    """What to remove."""

    passkey: strawberry.ID = strawberry.field(description="Its id.")


@strawberry.type(description="The sessions have ended.")
class SessionsEnded:
    """Success."""

    ended: int = strawberry.field(description="How many; 0: it had ended before.")


@strawberry.type(description="The passkey signs in no longer. Sessions that it began go on.")
class PasskeyRemoved:
    """Success."""

    removed: strawberry.ID = strawberry.field(description="Its id.")


@strawberry.type(description="The member has no such passkey.")
class PasskeyUnknown(Rejection):
    """Nothing happened."""


EndSessionsResult = Annotated[
    SessionsEnded | InvalidInput | Forbidden,
    strawberry.union("EndSessionsResult", description="What came of signing out."),
]
RemovePasskeyResult = Annotated[
    PasskeyRemoved | PasskeyUnknown | InvalidInput | Forbidden,
    strawberry.union("RemovePasskeyResult", description="What came of removing a passkey."),
]


@strawberry.type
class SessionQuery:
    """Reads of one's own sign-ins."""

    @resolved("Where the member who asks is signed in. For the member alone.")
    async def my_sessions(self, info: Info) -> list[Session]:
        """Return the sessions that go on, the one used last first."""
        context = info.context
        own_id = await _own(context)
        current = context.caller.session
        async with context.reading() as db:
            found = await sessions(db, member_id=own_id, now=context.now)
        return [
            Session(
                id=strawberry.ID(str(one.session_id)),
                began_at=one.begun_at,
                began_by=SignInMethod[one.began_by.upper()],
                used_at=one.used_at,
                expires_at=one.expires_at,
                current=one.session_id == current,
            )
            for one in found
        ]

    @resolved("The passkeys of the member who asks. For the member alone.")
    async def my_passkeys(self, info: Info) -> list[Passkey]:
        """Return them, the oldest first."""
        context = info.context
        own_id = await _own(context)
        async with context.reading() as db:
            return [
                Passkey(
                    id=strawberry.ID(one.id),
                    name=one.name,
                    added_at=one.added_at,
                    used_at=one.used_at,
                )
                for one in await passkeys(db, member_id=own_id)
            ]


@strawberry.type
class SessionMutation:
    """Signing out."""

    @resolved("Sign the member out elsewhere, or of one session. For the member alone; what has "
              "ended stays so.")  # fmt: skip
    async def end_sessions(
        self,
        info: Info,
        input: Given[EndSessionsInput],  # noqa: A002
    ) -> EndSessionsResult:
        """End and commit, or answer why not."""
        context = info.context
        try:
            own_id = await _own(context)
            named = input.session
            one = None if named is None else whole_number(named, field="session")
            async with context.writing() as db:
                ended = await end_sessions(
                    db,
                    member_id=own_id,
                    session_id=one,
                    but=context.caller.session if one is None else None,
                    now=context.now,
                )
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        return SessionsEnded(ended=ended)

    @resolved("Remove a passkey of the member's. For the member alone.")
    async def remove_passkey(
        self,
        info: Info,
        input: Given[RemovePasskeyInput],  # noqa: A002
    ) -> RemovePasskeyResult:
        """Remove and commit, or answer why not."""
        context = info.context
        try:
            own_id = await _own(context)
            async with context.writing() as db:
                await remove_passkey(db, member_id=own_id, passkey=input.passkey)
        except errors.NotFound as unknown:
            return PasskeyUnknown(message=unknown.message)
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        return PasskeyRemoved(removed=input.passkey)


async def _own(context: Context) -> int:
    """Return the member who asks, as it is now; raises Unauthenticated or Forbidden."""
    require(context.principal, Role.MEMBER)
    own_id = await context.own_member_id()
    if own_id is None:
        raise errors.Forbidden("there is no such member any more")
    return own_id
