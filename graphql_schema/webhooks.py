"""Webhooks: which business is told what, and what came of each call."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from graphql_schema.access import WEBHOOK_READERS, require, visible_business
from graphql_schema.context import Context, Info
from graphql_schema.fields import resolved, shown
from graphql_schema.filters import by_businesses, filtered_page, said, unknown
from graphql_schema.finding import whole_number
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.programme import Business
from graphql_schema.scalars import Long
from hub.egress import queries
from hub.egress.events import EventKind

strawberry.enum(
    EventKind,
    name="WebhookEventType",
    description="What an event tells: `points.posted`, as calls and the group's file have it, is "
    "`POINTS_POSTED`.",
)


@strawberry.enum(description="Where a delivery stands.")
class WebhookDeliveryState(Enum):
    """The states of hub.egress."""

    PENDING = strawberry.enum_value("pending", description="It is to be sent, or sent again.")
    DELIVERED = strawberry.enum_value("delivered", description="The subscriber has it.")
    DEAD = strawberry.enum_value(
        "dead", description="It was given up, or its subscription was stopped."
    )


@strawberry.type(description="What a business is told of, and where.")
class WebhookSubscription:
    """A subscription, with how its deliveries stand."""

    business_id: strawberry.Private[int]
    code: str = strawberry.field(description="Its short name.")
    url: str = strawberry.field(description="Where it is told.")
    types: list[EventKind] = strawberry.field(description="The types of events that it is told of.")
    active: bool = strawberry.field(description="Whether it is told now.")
    stopped_because: str | None = strawberry.field(description="Why not; null while it is.")
    pending: int = strawberry.field(
        graphql_type=Long, description="How many deliveries are to be sent, or sent again."
    )
    dead: int = strawberry.field(graphql_type=Long, description="How many were given up.")

    @classmethod
    def of(cls, row: queries.SubscriptionView) -> "WebhookSubscription":
        """Show a subscription."""
        return shown(cls, row, types=[EventKind(kind) for kind in row.types])

    @resolved("The business that is told.")
    async def business(self, info: Info) -> Business:
        """Return whose subscription it is."""
        return Business.of(await info.context.business(self.business_id))


@strawberry.type(description="An event on its way to a subscriber, and what came of it.")
class WebhookDelivery:
    """A line of the log."""

    business_id: strawberry.Private[int]
    number: strawberry.ID = strawberry.field(
        description="Its number: `redeliverWebhooks` asks for it."
    )
    event: strawberry.ID = strawberry.field(
        description="The event's id, as `webhook-id` says it: the same however often it is sent."
    )
    type: EventKind = strawberry.field(description="What it tells.")
    subscription: str = strawberry.field(description="The subscription's short name.")
    state: WebhookDeliveryState = strawberry.field(description="Where it stands.")
    attempts: int = strawberry.field(description="How often it was sent.")
    status: int | None = strawberry.field(
        description="The HTTP status that the last call was answered; null: none was."
    )
    error: str | None = strawberry.field(
        description="What was wrong with the last call; null: nothing, or it is yet to be made."
    )
    occurred_at: datetime = strawberry.field(description="When what it tells of happened.")
    asked_at: datetime = strawberry.field(description="When it was to be told.")
    tried_at: datetime | None = strawberry.field(description="When it was last sent.")
    ended_at: datetime | None = strawberry.field(
        description="When it was delivered or given up; null: neither."
    )

    @classmethod
    def of(cls, row: queries.EventDeliveryView) -> "WebhookDelivery":
        """Show a line of the log."""
        return shown(
            cls,
            row,
            number=strawberry.ID(str(row.event_delivery_id)),
            event=strawberry.ID(f"evt_{row.event_id}"),
            type=EventKind(row.type),
            state=WebhookDeliveryState(row.state),
        )

    @resolved("The business that is told.")
    async def business(self, info: Info) -> Business:
        """Return whose subscription it is."""
        return Business.of(await info.context.business(self.business_id))


@strawberry.input(description="Which deliveries; all that is said holds.")
class WebhookDeliveryFilter:
    """By who is told, of what, what came of it and when."""

    business: str | None = strawberry.field(
        default=None, description="To this business, by its code; a business: to itself."
    )
    subscription: str | None = strawberry.field(
        default=None, description="Of this subscription, by its short name."
    )
    event: strawberry.ID | None = strawberry.field(
        default=None, description="Of this event, by its id: `evt_` and a number."
    )
    types: list[EventKind] | None = strawberry.field(
        default=None, description="Of events of these types."
    )
    states: list[WebhookDeliveryState] | None = strawberry.field(
        default=None, description="Those that stand so."
    )
    asked_from: datetime | None = strawberry.field(
        default=None, description="To be told then or later, with an offset from UTC."
    )
    asked_before: datetime | None = strawberry.field(
        default=None, description="To be told before then, with an offset from UTC."
    )


@strawberry.type
class WebhookQuery:
    """Reads of webhooks."""

    @resolved("Who is told what by webhooks, by short name. For staff and admins; a business sees "
              "its own.")  # fmt: skip
    async def webhook_subscriptions(self, info: Info) -> list[WebhookSubscription]:
        """Return the subscriptions that the caller may see."""
        context = info.context
        require(context.principal, *WEBHOOK_READERS)
        own_id = await context.own_business_id()
        async with context.reading() as db:
            rows = await queries.subscriptions(db, business_id=own_id)
        return [WebhookSubscription.of(row) for row in rows]

    @resolved("What was told by webhooks, and what came of it, the newest first. For staff and "
              "admins; a business sees what it was told.")  # fmt: skip
    async def webhook_deliveries(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            WebhookDeliveryFilter | None, strawberry.argument(description="Only these deliveries.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[WebhookDelivery]:
        """Return a page of the log; raises Forbidden where a business asks for another's.

        Raises NotFound for an unknown business or subscription: to a business another's is none.
        """
        context, order = info.context, queries.DELIVERIES
        require(context.principal, *WEBHOOK_READERS)
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked = filtered_page(filter, order, **paging)
        own_id = await context.own_business_id()
        only = await _only(context, said(filter))
        async with context.reading() as db:
            rows = await queries.event_deliveries(db, only=only, stretch=asked.stretch)
            code = only.subscription
            if not rows and code is not None:
                there = await queries.stopped_because(
                    db, code=code, event_delivery_ids=(), business_id=own_id
                )
                if not there:
                    raise unknown("subscription", code)
        return connection(rows, asked, node=WebhookDelivery.of, place=order.place)


async def _only(context: Context, told: dict[str, Any]) -> queries.EventDeliveryFilter:
    """Return what a filter says as the log is read by it."""
    if "business" in told:
        visible_business(context.caller, asked=told["business"])
    only = await by_businesses(context, told, "business")
    only.setdefault("business_id", await context.own_business_id())
    if "event" in only:
        number = str(only.pop("event")).removeprefix("evt_")
        only["event_id"] = whole_number(number, field="filter.event")
    if "types" in only:
        only["types"] = tuple(dict.fromkeys(only["types"]))
    if "states" in only:
        only["states"] = tuple(queries.EventDeliveryState(state.value) for state in only["states"])
    return queries.EventDeliveryFilter(**only)
