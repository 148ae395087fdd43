"""The catalogue: the rewards that can be ordered now, filtered and ordered."""

from enum import Enum
from typing import Annotated, Any

import strawberry

from graphql_schema.access import EVERYBODY, require
from graphql_schema.context import Context, Info
from graphql_schema.deprecated import replaced
from graphql_schema.fields import resolved
from graphql_schema.filters import (
    DIRECTION,
    Direction,
    by_businesses,
    either,
    nameable,
    once,
    ordered_page,
    refuse_unknown,
    said,
)
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.rewards import Reward
from graphql_schema.scalars import Long
from hub.benefits.rewards import queries
from hub.errors import Malformed


@strawberry.input(description="Which rewards; all that is said holds.")
class CatalogueFilter:
    """By who offers them, what they are and what they cost."""

    business: str | None = strawberry.field(
        default=None, description="What this business offers, by its code."
    )
    category: str | None = strawberry.field(default=None, description="This kind of thing.")
    tier: str | None = strawberry.field(
        default=None, description="What asks for this tier, by its short name, and no lower one."
    )
    affordable: bool | None = strawberry.field(
        default=None,
        description="What the member who asks has points enough for, or too few. For members.",
    )
    least_points: int | None = strawberry.field(
        graphql_type=Long | None, default=None, description="What costs so many points or more."
    )
    most_points: int | None = strawberry.field(
        graphql_type=Long | None, default=None, description="What costs so many points or fewer."
    )
    points_alone: bool | None = strawberry.field(
        default=None, description="What costs no money on top, or what does."
    )


@strawberry.enum(description="By what rewards are ordered.")
class CatalogueOrderField(Enum):
    """The orders of hub.benefits.rewards.queries."""

    POINTS = strawberry.enum_value("points", description="Points that they cost.")
    AVAILABLE = strawberry.enum_value("available", description="Since when their terms hold.")


@strawberry.input(description="How rewards are ordered.")
class CatalogueOrder:
    """By what, and which way."""

    field: CatalogueOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


_ORDERS = {"POINTS": queries.CATALOGUE, "AVAILABLE": queries.BY_OFFER}


@strawberry.type
class RewardQuery:
    """The catalogue."""

    @resolved("What can be ordered now, the cheapest first unless `orderBy` says otherwise. For "
              "everybody who is signed in.")  # fmt: skip
    async def rewards(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            CatalogueFilter | None, strawberry.argument(description="Only these rewards.")
        ] = None,
        order_by: Annotated[
            CatalogueOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the cheapest first."),
        ] = None,
        business: Annotated[
            str | None,
            strawberry.argument(
                description="Only what this business offers.",
                deprecation_reason=replaced(since="2026-11-28", by="`filter.business`"),
            ),
        ] = None,
        category: Annotated[
            str | None,
            strawberry.argument(
                description="Only this kind of thing.",
                deprecation_reason=replaced(since="2026-11-28", by="`filter.category`"),
            ),
        ] = None,
        affordable: Annotated[
            bool,
            strawberry.argument(
                description="Only what the member who is signed in has points enough for.",
                deprecation_reason=replaced(since="2026-11-28", by="`filter.affordable`"),
            ),
        ] = False,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Reward]:
        """Return a page of the catalogue; raises NotFound for an unknown business or tier."""
        context, told = info.context, said(filter)
        require(context.principal, *EVERYBODY)
        paging = {"first": first, "after": after, "last": last, "before": before}
        page, order = ordered_page(filter, order_by, _ORDERS, queries.CATALOGUE, **paging)
        nameable("category", category)
        once("affordable", affordable or None, told.get("affordable"))
        told |= {
            "business": either("business", business or None, told.get("business")),
            "category": either("category", category, told.get("category")),
        }
        only = await _only(context, told, within_reach=affordable)
        async with context.reading() as db:
            rows = await queries.reward_page(
                db, now=context.now, only=only, order=order, stretch=page.stretch
            )
        if not rows:
            await refuse_unknown(context, only, "tier")
        return connection(rows, page, node=Reward.of, place=order.place)

    @resolved("A reward by its short name; null when there is none. For everybody signed in.")
    async def reward(
        self,
        info: Info,
        code: Annotated[str, strawberry.argument(description="The reward's short name.")],
    ) -> Reward | None:
        """Return a reward by the terms in force, whether it can be had or not."""
        require(info.context.principal, *EVERYBODY)
        async with info.context.reading() as db:
            row = await queries.reward_named(db, code=code, now=info.context.now)
        return None if row is None else Reward.of(row)


async def _only(context: Context, told: dict[str, Any], *, within_reach: bool) -> dict[str, Any]:
    """Return what is said as the catalogue is read by it.

    `within_reach` is what the argument says that `affordable` replaces: of who has no points it
    asks nothing. The filter raises Malformed for them.
    """
    found = {name: value for name, value in told.items() if value is not None}
    found = await by_businesses(context, found, "business")
    affordable = found.pop("affordable", None)
    if affordable is None and not within_reach:
        return found
    points = await _can_spend(context)
    if affordable is not None and points is None:
        raise Malformed(
            "`filter.affordable` is of the points of the member who asks", field="filter.affordable"
        )
    return found | {"too_dear" if affordable is False else "affordable": points}


async def _can_spend(context: Context) -> int | None:
    """Return the points that the member who asks can spend; None for other callers."""
    own_id = await context.own_member_id()
    if own_id is None:
        return None
    found: int = (await context.load.balances.load(own_id)).available
    return found
