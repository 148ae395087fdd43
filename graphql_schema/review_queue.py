"""The queue of reviews, for staff: filtered, ordered, page by page."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.deprecated import replaced
from graphql_schema.fields import resolved
from graphql_schema.filters import DIRECTION, Direction, either, nameable, ordered_page, said
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.reviews import ReviewItem, ReviewReason, ReviewState
from hub.members.review import queries


@strawberry.input(description="Which reviews; all that is said holds.")
class ReviewFilter:
    """By where they stand, why, who looks at them, how likely, and when."""

    states: list[ReviewState] | None = strawberry.field(
        default=None, description="In these states; unsaid: open ones."
    )
    reasons: list[ReviewReason] | None = strawberry.field(
        default=None, description="For one of these reasons."
    )
    assigned_to: str | None = strawberry.field(
        default=None, description="That this person looks at."
    )
    assigned: bool | None = strawberry.field(
        default=None, description="That somebody looks at, or that nobody does."
    )
    least_score: float | None = strawberry.field(
        default=None, description="Whose score is that or more, in bits."
    )
    opened_from: datetime | None = strawberry.field(
        default=None, description="First met then or later, with an offset from UTC."
    )
    opened_before: datetime | None = strawberry.field(
        default=None, description="First met before then, with an offset from UTC."
    )


@strawberry.enum(description="By what reviews are ordered.")
class ReviewOrderField(Enum):
    """The orders of hub.members.review.queries."""

    OPENED = strawberry.enum_value("opened", description="When the doubt was first met.")
    SCORE = strawberry.enum_value("score", description="Their score: those alone that have one.")


@strawberry.input(description="How reviews are ordered.")
class ReviewOrder:
    """By what, and which way."""

    field: ReviewOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


_ORDERS = {"OPENED": queries.BY_OPENING, "SCORE": queries.BY_SCORE}
_SINCE = "2026-11-28"


@strawberry.type
class ReviewQuery:
    """The queue."""

    @resolved("Doubts about who somebody is, oldest first; open ones unless asked otherwise. For "
              "staff.")  # fmt: skip
    async def review_items(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            ReviewFilter | None, strawberry.argument(description="Only these reviews.")
        ] = None,
        order_by: Annotated[
            ReviewOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the oldest first."),
        ] = None,
        state: Annotated[
            ReviewState | None,
            strawberry.argument(
                description="Only these; null: all.",
                deprecation_reason=replaced(since=_SINCE, by="`filter.states`"),
            ),
        ] = ReviewState.OPEN,
        reason: Annotated[
            ReviewReason | None,
            strawberry.argument(
                description="Only those with this reason.",
                deprecation_reason=replaced(since=_SINCE, by="`filter.reasons`"),
            ),
        ] = None,
        assigned_to: Annotated[
            str | None,
            strawberry.argument(
                description="Only those that this person looks at.",
                deprecation_reason=replaced(since=_SINCE, by="`filter.assignedTo`"),
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ReviewItem]:
        """Return a page of reviews."""
        context = info.context
        require(context.principal, *CORRECTORS)
        only = said(filter)
        nameable("assignedTo", assigned_to)
        only["assigned_to"] = either("assignedTo", assigned_to, only.get("assigned_to"))
        only["reasons"] = _names(either("reason", reason and [reason], only.get("reasons")))
        # What is said of the argument unasked says nothing beside the filter.
        told = None if state is ReviewState.OPEN and "states" in only else state and [state]
        only["states"] = _names(either("state", told, only.get("states")))
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, _ORDERS, queries.REVIEWS, **page)
        async with context.reading() as db:
            rows = await queries.review_items(
                db, only=queries.ReviewFilter(**only), order=order, stretch=asked.stretch
            )
        return connection(rows, asked, node=ReviewItem.of, place=order.place)


def _names(said: list[Any] | None) -> list[str] | None:
    return None if said is None else [one.name.lower() for one in said]
