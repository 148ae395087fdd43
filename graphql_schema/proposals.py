"""Adjustments that wait for a second person, for staff: filtered, ordered, page by page."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.corrections import Adjustment
from graphql_schema.deprecated import replaced
from graphql_schema.desk import business_named
from graphql_schema.fields import resolved
from graphql_schema.filters import DIRECTION, Direction, either, ordered_page, said
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.scalars import Long
from hub.points.mending_queries import (
    ADJUSTMENTS,
    BY_PROPOSING,
    BY_SIZE,
    ProposalFilter,
    proposed_adjustments,
)


@strawberry.input(description="Which adjustments; all that is said holds.")
class AdjustmentFilter:
    """By whose expense, who proposed them, how many points, and when."""

    business: str | None = strawberry.field(
        default=None, description="That this business bears, by its code."
    )
    maker: str | None = strawberry.field(default=None, description="That this person proposed.")
    least_points: int | None = strawberry.field(
        graphql_type=Long | None,
        default=None,
        description="Of that many points or more, up or down.",
    )
    proposed_from: datetime | None = strawberry.field(
        default=None, description="Proposed then or later, with an offset from UTC."
    )
    proposed_before: datetime | None = strawberry.field(
        default=None, description="Proposed before then, with an offset from UTC."
    )


@strawberry.enum(description="By what adjustments are ordered.")
class AdjustmentOrderField(Enum):
    """The orders of hub.points.mending_queries."""

    PROPOSED = strawberry.enum_value("proposed", description="When they were proposed.")
    POINTS = strawberry.enum_value("points", description="How many points, up or down.")


@strawberry.input(description="How adjustments are ordered.")
class AdjustmentOrder:
    """By what, and which way."""

    field: AdjustmentOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


_ORDERS = {"PROPOSED": BY_PROPOSING, "POINTS": BY_SIZE}


@strawberry.type
class AdjustmentQuery:
    """What waits for a second person."""

    @resolved("Adjustments that wait for a second person, oldest first. For staff.")
    async def proposed_adjustments(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            AdjustmentFilter | None, strawberry.argument(description="Only these adjustments.")
        ] = None,
        order_by: Annotated[
            AdjustmentOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the oldest first."),
        ] = None,
        business: Annotated[
            str | None,
            strawberry.argument(
                description="Only those that this business bears.",
                deprecation_reason=replaced(since="2026-11-28", by="`filter.business`"),
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Adjustment]:
        """Return a page of proposals."""
        context = info.context
        require(context.principal, *CORRECTORS)
        only = said(filter)
        code = either("business", business, only.pop("business", None))
        if code is not None:
            only["business_id"] = (await business_named(context, code)).business_id
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, _ORDERS, ADJUSTMENTS, **page)
        async with context.reading() as db:
            rows = await proposed_adjustments(
                db, only=ProposalFilter(**only), order=order, stretch=asked.stretch
            )
        return connection(rows, asked, node=Adjustment.of, place=order.place)
