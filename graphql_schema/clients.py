"""Clients, for admins: systems that call for themselves, and their secrets."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum
from typing import Annotated, TypeVar

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import ADMINS, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.rejections import REFUSALS, Refused, Rejection, refused
from hub import errors
from hub.callers import queries
from hub.callers.create_client import create_client
from hub.callers.disable_client import disable_client
from hub.callers.rotate_secret import KEPT_DAYS, LONGEST_KEPT_DAYS, rotate_secret
from hub.crypto.scopes import Role

T = TypeVar("T")


@strawberry.enum(description="What a client is to the group.")
class ClientRole(Enum):
    """A role that a system may have."""

    BUSINESS = strawberry.enum_value("business", description="A business's tills and systems.")
    STAFF = strawberry.enum_value("staff", description="A service of the group's staff.")
    FINANCE = strawberry.enum_value("finance", description="A service of the group's finance.")
    ADMIN = strawberry.enum_value("admin", description="What configures the group.")


@strawberry.type(description="A secret of a client that lives; itself it is told once, when made.")
class ClientSecret:
    """What is known of a secret."""

    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str = strawberry.field(description="By whom.")
    expires_at: datetime | None = strawberry.field(description="When it ends; null: not yet said.")
    last_used_at: datetime | None = strawberry.field(
        description="When a token was last given for it, to the minute; null: never."
    )


@strawberry.type(description="A system that calls for itself, by OAuth 2.0 client credentials.")
class Client:
    """A client."""

    client_id: str = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="What it is, for people.")
    role: ClientRole = strawberry.field(description="What it is to the group.")
    business: str | None = strawberry.field(
        description="The code of the business it acts for; null for those of the group."
    )
    scopes: list[str] = strawberry.field(description="What its tokens may be good for, sorted.")
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str = strawberry.field(description="By whom.")
    disabled_at: datetime | None = strawberry.field(description="When it ended; null: it lives.")
    secrets: list[ClientSecret] = strawberry.field(description="Those that live, newest first.")

    @classmethod
    def of(cls, row: queries.Client) -> "Client":
        """Return a client as it is shown."""
        return cls(
            client_id=row.client_id,
            name=row.name,
            role=ClientRole[row.role.name],
            business=row.business,
            scopes=sorted(row.scopes),
            created_at=row.created_at,
            created_by=row.created_by,
            disabled_at=row.disabled_at,
            secrets=[
                ClientSecret(
                    created_at=one.created_at,
                    created_by=one.created_by,
                    expires_at=one.expires_at,
                    last_used_at=one.last_used_at,
                )
                for one in row.secrets
            ],
        )


@strawberry.input(description="A client to be made.")
class CreateClientInput:
    """A new client."""

    client_id: str = strawberry.field(
        description="Its id: 3 to 50 small letters, digits and hyphens. A second request under "
        "the same id is a conflict: whoever lost the answer asks for another secret."
    )
    name: str = strawberry.field(description="What it is, for people.")
    role: ClientRole = strawberry.field(description="What it is to the group.")
    business: str | None = strawberry.field(
        default=None, description="The business it acts for; for the role BUSINESS, and no other."
    )
    scopes: list[str] | None = strawberry.field(
        default=None, description="What its tokens may be good for; unsaid: all of its role."
    )


@strawberry.input(description="A client that is to have another secret.")
class RotateClientSecretInput:
    """A rotation."""

    client_id: str = strawberry.field(description="Which.")
    keep_days: int = strawberry.field(
        default=KEPT_DAYS,
        description=f"How long its other secrets still hold, 0 to {LONGEST_KEPT_DAYS} days. 0 ends "
        "them now, and all tokens given for them.",
    )


@strawberry.input(description="A client that is to end.")
class DisableClientInput:
    """The end of a client."""

    client_id: str = strawberry.field(description="Which.")


@strawberry.type(description="A secret was made. It is told here, and never again.")
class ClientSecretMade:
    """Success."""

    client: Client = strawberry.field(description="Whose it is.")
    secret: str = strawberry.field(description="The secret.")


@strawberry.type(description="The client has ended; its tokens do so within seconds.")
class ClientDisabled:
    """Success."""

    client: Client = strawberry.field(description="As it is now.")


@strawberry.type(description="There is no such client.")
class ClientUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The client has ended, or has too many secrets.")
class ClientSecretRefused(Rejection):
    """Nothing was stored."""


CreateClientResult = Annotated[
    ClientSecretMade | Refused,
    strawberry.union("CreateClientResult", description="What came of making a client."),
]
RotateClientSecretResult = Annotated[
    ClientSecretMade | ClientUnknown | ClientSecretRefused | Refused,
    strawberry.union("RotateClientSecretResult", description="What came of a rotation."),
]
DisableClientResult = Annotated[
    ClientDisabled | ClientUnknown | Refused,
    strawberry.union("DisableClientResult", description="What came of ending a client."),
]


@strawberry.type
class ClientQuery:
    """Reads of clients."""

    @resolved("All clients, by their ids. For admins.")
    async def clients(self, info: Info) -> list[Client]:
        """Return them."""
        context = info.context
        require(context.principal, *ADMINS)
        async with context.reading() as db:
            return [Client.of(row) for row in await queries.clients(db, now=context.now)]


@strawberry.type
class ClientMutation:
    """What admins do with clients."""

    @resolved("Make a client with its first secret. For admins.")
    async def create_client(
        self,
        info: Info,
        input: Given[CreateClientInput],  # noqa: A002
    ) -> CreateClientResult:
        """Make it and commit, or answer why not."""
        context = info.context
        try:
            made = await _done(
                context,
                lambda db, actor: create_client(
                    db,
                    client_id=input.client_id,
                    name=input.name,
                    role=Role[input.role.name],
                    business=input.business,
                    scopes=input.scopes,
                    actor=actor,
                    now=context.now,
                ),
            )
        except errors.NotFound as unknown:
            return refused(errors.Malformed(unknown.message, field="business"))
        except REFUSALS as no:
            return refused(no)
        return ClientSecretMade(client=Client.of(made.client), secret=made.secret)

    @resolved("Give a client another secret; the others end after some days. For admins.")
    async def rotate_client_secret(
        self,
        info: Info,
        input: Given[RotateClientSecretInput],  # noqa: A002
    ) -> RotateClientSecretResult:
        """Make the secret and commit, or answer why not."""
        context = info.context

        async def rotate(db: AsyncConnection, actor: str) -> ClientSecretMade:
            secret = await rotate_secret(
                db,
                client_id=input.client_id,
                keep_days=input.keep_days,
                actor=actor,
                now=context.now,
            )
            row = await queries.client(db, client_id=input.client_id, now=context.now)
            return ClientSecretMade(client=Client.of(row), secret=secret)

        try:
            return await _done(context, rotate)
        except errors.NotFound as unknown:
            return ClientUnknown(message=unknown.message)
        except errors.Rejected as no:
            return ClientSecretRefused(message=no.message)
        except REFUSALS as no:
            return refused(no)

    @resolved("End a client: its secrets now, its tokens within seconds. For admins; the same "
              "again changes nothing.")  # fmt: skip
    async def disable_client(
        self,
        info: Info,
        input: Given[DisableClientInput],  # noqa: A002
    ) -> DisableClientResult:
        """End it and commit, or answer why not."""
        context = info.context
        try:
            row = await _done(
                context,
                lambda db, actor: disable_client(
                    db, client_id=input.client_id, actor=actor, now=context.now
                ),
            )
        except errors.NotFound as unknown:
            return ClientUnknown(message=unknown.message)
        except REFUSALS as no:
            return refused(no)
        return ClientDisabled(client=Client.of(row))


async def _done(context: Context, step: Callable[[AsyncConnection, str], Awaitable[T]]) -> T:
    """Do a step as the admin who calls, and commit it."""
    caller = require(context.principal, *ADMINS)
    async with context.writing() as db:
        return await step(db, caller.subject)
