"""What sources got wrong: values that cannot be read, identifiers taken for shared."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.access import MISTAKE_READERS, require
from graphql_schema.context import Info
from graphql_schema.fields import Given, resolved
from graphql_schema.pages import DEFAULT_PAGE, LARGEST_PAGE
from graphql_schema.programme import Business
from graphql_schema.rejections import Forbidden, InvalidInput, Rejection, unfit
from graphql_schema.verifying import Provable, given_identifier
from hub import errors
from hub.connector import HintType
from hub.crypto.tokens import Role
from hub.members.as_given import AsGiven, as_given
from hub.members.release_shared import release_shared


@strawberry.enum(description="What a value was given as.")
class Detail(Enum):
    """Attributes that are kept as they were given when they cannot be read."""

    PHONE = strawberry.enum_value(HintType.PHONE.value, description="A personal phone number.")
    EMAIL = strawberry.enum_value(HintType.EMAIL.value, description="A personal address.")
    BIRTHDAY = strawberry.enum_value(HintType.BIRTHDAY.value, description="A date of birth.")
    LOYALTY_ID = strawberry.enum_value(
        HintType.LOYALTY_ID.value, description="A loyalty number with its check digit."
    )


@strawberry.type(description="A value that a business gave and that is none of its kind.")
class UnreadableDetail:
    """A mistake to be corrected at its source."""

    row: strawberry.Private[AsGiven]
    external_id: str = strawberry.field(description="The business's own id for the person.")
    detail: Detail = strawberry.field(description="What it was given as.")
    masked: str = strawberry.field(description="Its form: all but the first two signs are stars.")
    observed_at: datetime = strawberry.field(description="When it was given last.")

    @classmethod
    def of(cls, row: AsGiven) -> "UnreadableDetail":
        """Show one."""
        return cls(
            row=row,
            external_id=row.external_id,
            detail=Detail(row.attribute.value),
            masked=row.masked,
            observed_at=row.observed_at,
        )

    @resolved("The business that gave it.")
    async def business(self, info: Info) -> Business:
        """Return the source."""
        return Business.of(await info.context.business(self.row.business_id))


@strawberry.input(description="A phone or email that is one person's after all.")
class ReleaseSharedIdentifierInput:
    """A request."""

    identifier: Provable = strawberry.field(description="What is released.")


@strawberry.type(description="The identifier tells who somebody is again.")
class SharedIdentifierReleased:
    """Success; again is as well."""

    was_shared: bool = strawberry.field(description="Whether it was shared until now.")


@strawberry.type(description="Nobody had taken it for a shared one.")
class NeverShared(Rejection):
    """Nothing was stored."""


ReleaseSharedIdentifierResult = Annotated[
    SharedIdentifierReleased | NeverShared | InvalidInput | Forbidden,
    strawberry.union("ReleaseSharedIdentifierResult", description="What came of a release."),
]


@strawberry.type
class CorrectingQuery:
    """Reads of mistakes."""

    @resolved("Values that can be read as nothing, the latest first, until they are corrected; a "
              "business sees its own.")  # fmt: skip
    async def unreadable_details(
        self,
        info: Info,
        first: Annotated[
            int, strawberry.argument(description=f"How many, up to {LARGEST_PAGE}.")
        ] = DEFAULT_PAGE,
    ) -> list[UnreadableDetail]:
        """Return what the caller may correct."""
        context = info.context
        require(context.principal, *MISTAKE_READERS)
        if not 1 <= first <= LARGEST_PAGE:
            raise errors.Malformed(f"`first` must be from 1 to {LARGEST_PAGE}", field="first")
        business_id = await context.own_business_id()
        async with context.reading() as db:
            rows = await as_given(db, business_id=business_id, limit=first, keyring=context.keyring)
        return [UnreadableDetail.of(row) for row in rows]


@strawberry.type
class CorrectingMutation:
    """What staff know better."""

    @resolved("Let a phone or email that was taken for shared tell who somebody is. For staff.")
    async def release_shared_identifier(
        self,
        info: Info,
        input: Given[ReleaseSharedIdentifierInput],  # noqa: A002
    ) -> ReleaseSharedIdentifierResult:
        """Release and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, Role.STAFF)
            kind, value = given_identifier(input.identifier)
            async with context.writing() as db:
                released = await release_shared(
                    db,
                    kind=kind,
                    value=value,
                    released_by=caller.subject,
                    now=context.now,
                    keyring=context.keyring,
                )
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        except errors.NotFound as never:
            return NeverShared(message=never.message)
        return SharedIdentifierReleased(was_shared=released)
