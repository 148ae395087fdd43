"""What callers were denied, for staff."""

from datetime import datetime
from typing import Annotated

import strawberry

from graphql_schema.access import require
from graphql_schema.context import Info
from graphql_schema.fields import resolved
from graphql_schema.pages import After, Before, Connection, First, Last, connection, window
from hub.audit import denials
from hub.crypto.tokens import Role


@strawberry.type(
    description="What a caller was denied in one minute: equal denials are one with a count. No "
    "personal data."
)
class Denial:
    """Equal denials."""

    minute: datetime = strawberry.field(description="The minute in which it was denied.")
    times: int = strawberry.field(description="How often, in that minute.")
    role: str = strawberry.field(description="As what the caller had signed in.")
    subject: str = strawberry.field(description="Who called, as its token said.")
    operation: str = strawberry.field(
        description="What a known document is called; `other`: it is not known; `…`: the caller "
        "was denied more than is told apart."
    )
    path: str = strawberry.field(
        description="The fields down to what was denied; `mutation`: a mutation answered so."
    )
    reason: str = strawberry.field(
        description="Why: the refusal's code, or `hidden` for what was answered as not there."
    )
    asked: str = strawberry.field(
        description="The node that was asked for, or the argument that was refused; else empty."
    )

    @classmethod
    def of(cls, row: denials.Denial) -> "Denial":
        """Show a row."""
        return cls(
            minute=row.minute,
            times=row.times,
            role=row.role,
            subject=row.subject,
            operation=row.operation,
            path=row.path,
            reason=row.reason,
            asked=row.asked,
        )


_SUBJECT = Annotated[
    str | None, strawberry.argument(description="Only of this caller, such as `business:shop`.")
]


@strawberry.type
class DenialQuery:
    """Reads of denials."""

    @resolved("What callers were denied, the latest first. For staff.")
    async def denials(
        self,
        info: Info,
        *,
        subject: _SUBJECT = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Denial]:
        """Return a page of denials."""
        require(info.context.principal, Role.STAFF)
        order = denials.DENIALS
        asked = window(first=first, after=after, last=last, before=before, shape=order.shape)
        async with info.context.reading() as db:
            rows = await denials.denials(db, subject=subject, stretch=asked.stretch)
        return connection(rows, asked, node=Denial.of, place=order.place)
