"""Lists of members, filtered and ordered, for staff."""

from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from graphql_schema.access import require
from graphql_schema.context import Info
from graphql_schema.fields import resolved
from graphql_schema.filters import (
    DIRECTION,
    Direction,
    by_businesses,
    order_given,
    ordered_page,
    refuse_unknown,
    said,
    stretch_given,
)
from graphql_schema.member import Member
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.plan.declared import Paged, PageRead
from hub.crypto.tokens import Principal, Role
from hub.members.queries import (
    BY_ACTIVITY,
    BY_JOINING,
    BY_NUMBER,
    MEMBER_FILTERS,
    member_page,
    members_in_order,
)


@strawberry.input(description="Which members; all that is said holds.")
class MemberFilter:
    """By whom they are customers of, what they have, and when."""

    business: str | None = strawberry.field(
        default=None, description="Who have an account there: a business's code."
    )
    tier: str | None = strawberry.field(
        default=None, description="Who hold it now: a tier's short name, of whichever ladder."
    )
    joined_from: datetime | None = strawberry.field(
        default=None, description="First met then or later, with an offset from UTC."
    )
    joined_before: datetime | None = strawberry.field(
        default=None, description="First met before then, with an offset from UTC."
    )
    active_from: date | None = strawberry.field(
        default=None, description="Whose latest earn or redemption was on that day or later."
    )
    active_until: date | None = strawberry.field(
        default=None, description="Whose latest earn or redemption was on that day or before."
    )


@strawberry.enum(description="By what members are ordered.")
class MemberOrderField(Enum):
    """The orders of hub.members.queries."""

    JOINED = strawberry.enum_value("joined", description="When they were first met.")
    LAST_ACTIVE = strawberry.enum_value(
        "last_active",
        description="The day of their latest earn or redemption: those alone who have one.",
    )


@strawberry.input(description="How members are ordered.")
class MemberOrder:
    """By what, and which way."""

    field: MemberOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


_ORDERS = {"JOINED": BY_JOINING, "LAST_ACTIVE": BY_ACTIVITY}
_FILTERED = {
    "filter.business": "business_id",
    "filter.tier": "tier",
    "filter.joinedFrom": "joined_from",
    "filter.joinedBefore": "joined_before",
    "filter.activeFrom": "active_from",
    "filter.activeUntil": "active_until",
}
_CODED = "(SELECT business_id FROM business WHERE code = :code)"
_GUARDS = {
    "business_id": f"{_CODED} IS NOT NULL",
    "tier": "EXISTS (SELECT FROM tier WHERE code = :tier)",
}


def _page(given: frozenset[str], caller: Principal) -> PageRead:
    require(caller, Role.STAFF)
    order = order_given(given, _ORDERS, BY_NUMBER)
    only = [name for said, name in _FILTERED.items() if said in given]
    return PageRead(
        relation=member_page(order=order, stretch=stretch_given(given), only=only),
        order=order,
        facts={"business_id": _CODED},
        guard=" AND ".join(_GUARDS[name] for name in _GUARDS if name in only) or None,
    )


def _asked_page(**asked: Any) -> dict[str, Any]:
    filter_, order_by = asked.pop("filter", None), asked.pop("order_by", None)
    page, order = ordered_page(filter_, order_by, _ORDERS, BY_NUMBER, **{**_WHOLE_PAGE, **asked})
    only = said(filter_)
    facts = dict.fromkeys((*MEMBER_FILTERS, *order.parameters)) | only
    facts |= order.facts(page.stretch)
    return {"window": page, "limit": page.limit, "code": only.get("business"), **facts}


def _shown(row: Any) -> Member:
    return Member(member_id=row.member_id)


_WHOLE_PAGE: dict[str, Any] = dict.fromkeys(("first", "after", "last", "before"))
_MEMBERS = Paged(
    read=_page,
    ask=_asked_page,
    live={
        "limit": "bigint",
        "code": "text",
        "tier": "text",
        "joined_from": "timestamptz",
        "joined_before": "timestamptz",
        "active_from": "date",
        "active_until": "date",
    },
    key=None,
)


@strawberry.type
class MemberListQuery:
    """Reads of all members."""

    @resolved("Everybody who is a member now, the latest first. For staff.", plan=_MEMBERS)
    async def members(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            MemberFilter | None, strawberry.argument(description="Only these members.")
        ] = None,
        order_by: Annotated[
            MemberOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the latest first."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Member]:
        """Return a page of members; raises NotFound for an unknown business or tier."""
        context = info.context
        require(context.principal, Role.STAFF)
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, _ORDERS, BY_NUMBER, **page)
        only = await by_businesses(context, said(filter), "business")
        async with context.reading() as db:
            rows = await members_in_order(db, order=order, stretch=asked.stretch, only=only)
        if not rows:
            await refuse_unknown(context, only, "tier")
        return connection(rows, asked, node=_shown, place=order.place)
