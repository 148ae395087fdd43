"""What callers were denied, for staff."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.access import require
from graphql_schema.context import Info
from graphql_schema.deprecated import replaced
from graphql_schema.fields import resolved
from graphql_schema.filters import DIRECTION, Direction, either, nameable, ordered_page, said
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from hub.audit import denials
from hub.crypto.tokens import Role
from hub.errors import Malformed


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


_ROLES = tuple(role.value for role in Role)


@strawberry.input(description="Which denials; all that is said holds.")
class DenialFilter:
    """By whom, why, of what and when."""

    subject: str | None = strawberry.field(
        default=None, description="Of this caller, such as `business:shop` or a client."
    )
    role: str | None = strawberry.field(
        default=None, description=f"Of callers who had signed in as this: {', '.join(_ROLES)}."
    )
    reason: str | None = strawberry.field(
        default=None, description="For this reason: a refusal's code, or `hidden`."
    )
    operation: str | None = strawberry.field(
        default=None, description="Of this known document, by its name; `other`: of none."
    )
    path: str | None = strawberry.field(
        default=None, description="Of this field, by the fields down to it."
    )
    minute_from: datetime | None = strawberry.field(
        default=None, description="In that minute or later, with an offset from UTC."
    )
    minute_before: datetime | None = strawberry.field(
        default=None, description="Before that minute, with an offset from UTC."
    )


@strawberry.enum(description="By what denials are ordered.")
class DenialOrderField(Enum):
    """The orders of hub.audit.denials."""

    MINUTE = strawberry.enum_value("minute", description="The minute in which it was denied.")


@strawberry.input(description="How denials are ordered.")
class DenialOrder:
    """By what, and which way."""

    field: DenialOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


_ORDERS = {"MINUTE": denials.BY_MINUTE}
_SUBJECT = Annotated[
    str | None,
    strawberry.argument(
        description="Only of this caller, such as `business:shop`.",
        deprecation_reason=replaced(since="2026-11-28", by="`filter.subject`"),
    ),
]


@strawberry.type
class DenialQuery:
    """Reads of denials."""

    @resolved("What callers were denied, the latest first. For staff.")
    async def denials(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            DenialFilter | None, strawberry.argument(description="Only these denials.")
        ] = None,
        order_by: Annotated[
            DenialOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the latest first."),
        ] = None,
        subject: _SUBJECT = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Denial]:
        """Return a page of denials; raises Malformed for an unknown role."""
        require(info.context.principal, Role.STAFF)
        only = said(filter)
        if only.get("role", _ROLES[0]) not in _ROLES:
            raise Malformed(f"roles are {', '.join(_ROLES)}", field="filter.role")
        nameable("subject", subject)
        only["subject"] = either("subject", subject, only.get("subject"))
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, _ORDERS, denials.DENIALS, **page)
        async with info.context.reading() as db:
            rows = await denials.denials(
                db, only=denials.DenialFilter(**only), order=order, stretch=asked.stretch
            )
        return connection(rows, asked, node=Denial.of, place=order.place)
