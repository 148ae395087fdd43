"""Settlement periods, filtered and ordered; and one by its code."""

from datetime import date
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.access import SETTLEMENT_READERS, require
from graphql_schema.context import Info
from graphql_schema.fields import resolved
from graphql_schema.filters import DIRECTION, Direction, ordered_page, said
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.settlement import SettlementPeriod, period_node
from hub.errors import Malformed
from hub.settlement import queries
from hub.settlement.life import STATES


@strawberry.input(description="Which periods; all that is said holds.")
class SettlementPeriodFilter:
    """By where they stand and which days they are over."""

    states: list[str] | None = strawberry.field(
        default=None, description=f"In these states: {', '.join(STATES)}."
    )
    from_day: date | None = strawberry.field(
        name="from", default=None, description="With that business date or a later one."
    )
    until_day: date | None = strawberry.field(
        name="until", default=None, description="With that business date or an earlier one."
    )


@strawberry.enum(description="By what periods are ordered.")
class SettlementPeriodOrderField(Enum):
    """The orders of hub.settlement.queries."""

    STARTS = strawberry.enum_value("starts", description="Their first day.")


@strawberry.input(description="How periods are ordered.")
class SettlementPeriodOrder:
    """By what, and which way."""

    field: SettlementPeriodOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


_ORDERS = {"STARTS": queries.PERIODS}


@strawberry.type
class SettlementQuery:
    """Reads of settlement."""

    @resolved("Settlement periods, newest first. For finance, staff and businesses.")
    async def settlement_periods(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            SettlementPeriodFilter | None, strawberry.argument(description="Only these periods.")
        ] = None,
        order_by: Annotated[
            SettlementPeriodOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the newest first."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[SettlementPeriod]:
        """Return a page of periods."""
        require(info.context.principal, *SETTLEMENT_READERS)
        only = said(filter)
        if not {*only.get("states", ())} <= {*STATES}:
            raise Malformed(f"states are {', '.join(STATES)}", field="filter.states")
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, _ORDERS, queries.PERIODS, **page)
        async with info.context.reading() as db:
            rows = await queries.periods(
                db, only=queries.PeriodFilter(**only), order=order, stretch=asked.stretch
            )
        return connection(rows, asked, node=SettlementPeriod.of, place=order.place)

    @resolved("A settlement period by its code; null when there is none.")
    async def settlement_period(
        self,
        info: Info,
        code: Annotated[str, strawberry.argument(description="2026-11 or 2026-11-03.")],
    ) -> SettlementPeriod | None:
        """Return a period."""
        return await period_node(info, code)
