"""Deliveries: what a business's systems told the hub, what came of it, and working on it again."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from graphql_schema.access import WEBHOOK_READERS, require, visible_business
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved, shown
from graphql_schema.filters import by_businesses, filtered_page, said, unknown
from graphql_schema.finding import whole_number
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.programme import Business
from graphql_schema.rejections import Forbidden, InvalidInput, unfit
from graphql_schema.scalars import Long
from hub import errors
from hub.intake import queries
from hub.intake.replay import replay

MOST_DELIVERIES = 1000
"""How many may be named at once."""
MOST_AT_ONCE = 100_000
"""How many are set going in one transaction, named or not: seconds of the database's time."""


@strawberry.enum(description="Where a delivery stands.")
class DeliveryState(Enum):
    """The states of hub.intake."""

    PENDING = strawberry.enum_value("pending", description="It is worked on, or waits for it.")
    DONE = strawberry.enum_value("done", description="What it told has had its effect.")
    REFUSED = strawberry.enum_value(
        "refused", description="It was understood and tells no fact, such as an order not yet paid."
    )
    DEAD = strawberry.enum_value(
        "dead", description="It is a dead letter: it could not be worked on."
    )


@strawberry.type(description="What a system told the hub in one call, and what came of it.")
class Delivery:
    """A delivery."""

    business_id: strawberry.Private[int]
    number: strawberry.ID = strawberry.field(
        description="Its number: `replayDeliveries` asks for it."
    )
    connection: str = strawberry.field(description="By which connection it came, by its code.")
    connector: str = strawberry.field(description="Which system's language that speaks.")
    topic: str | None = strawberry.field(description="What it is about, in the system's words.")
    state: DeliveryState = strawberry.field(description="Where it stands.")
    received_at: datetime = strawberry.field(description="When it came.")
    finished_at: datetime | None = strawberry.field(
        description="When it was done with; null: it is not."
    )
    reason_code: str | None = strawberry.field(
        description="What was wrong, in a word such as `malformed`; null: nothing."
    )
    reason_field: str | None = strawberry.field(
        description="Where in what it said that was; null: at no one place."
    )

    @classmethod
    def of(cls, row: queries.DeliveryView) -> "Delivery":
        """Show a delivery."""
        return shown(
            cls,
            row,
            number=strawberry.ID(str(row.delivery_id)),
            state=DeliveryState(row.state),
        )

    @resolved("The business whose system it was.")
    async def business(self, info: Info) -> Business:
        """Return whose connection it came by."""
        return Business.of(await info.context.business(self.business_id))


@strawberry.input(description="Which deliveries; all that is said holds.")
class DeliveryFilter:
    """By whose they are, what came of them and when they came."""

    business: str | None = strawberry.field(
        default=None, description="Of this business's systems, by its code; a business: its own."
    )
    connection: str | None = strawberry.field(
        default=None, description="By this connection, by its code."
    )
    states: list[DeliveryState] | None = strawberry.field(
        default=None, description="Those that stand so."
    )
    topic: str | None = strawberry.field(
        default=None, description="About this, in the system's words."
    )
    reason_code: str | None = strawberry.field(
        default=None, description="With this reason, in a word such as `malformed`."
    )
    reason_field: str | None = strawberry.field(default=None, description="Wrong at this place.")
    received_from: datetime | None = strawberry.field(
        default=None, description="That came then or later, with an offset from UTC."
    )
    received_before: datetime | None = strawberry.field(
        default=None, description="That came before then, with an offset from UTC."
    )


@strawberry.input(description="What is to be worked on again: deliveries, what is dead of a "
                              "connection, or both.")  # fmt: skip
class ReplayDeliveriesInput:
    """A replay."""

    deliveries: list[strawberry.ID] | None = strawberry.field(
        default=None, description=f"These, by their numbers, up to {MOST_DELIVERIES}."
    )
    connection: str | None = strawberry.field(
        default=None, description="All dead letters of this connection, by its code."
    )


@strawberry.type(description="It will be worked on again.")
class DeliveriesReplayed:
    """Success."""

    count: int = strawberry.field(
        graphql_type=Long,
        description="How many deliveries; what waits already is left to it. Where it is "
        f"{MOST_AT_ONCE}, the oldest, there may be more: ask again.",
    )


ReplayDeliveriesResult = Annotated[
    DeliveriesReplayed | InvalidInput | Forbidden,
    strawberry.union("ReplayDeliveriesResult", description="What came of a replay."),
]


@strawberry.type
class DeliveryQuery:
    """Reads of deliveries."""

    @resolved("What systems told the hub, and what came of it, the newest first, as long as what "
              "they said is kept. For staff and admins; a business sees its own.")  # fmt: skip
    async def deliveries(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            DeliveryFilter | None, strawberry.argument(description="Only these deliveries.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Delivery]:
        """Return a page of deliveries; raises Forbidden where a business asks for another's.

        Raises NotFound for an unknown business or connection: to a business another's is none.
        """
        context = info.context
        require(context.principal, *WEBHOOK_READERS)
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked = filtered_page(filter, queries.KEPT, **paging)
        own_id = await context.own_business_id()
        only = await _only(context, said(filter))
        async with context.reading() as db:
            rows = await queries.kept_deliveries(db, only=only, stretch=asked.stretch)
            code = only.connection
            if (
                not rows
                and code is not None
                and not await queries.is_connection(db, code=code, business_id=own_id)
            ):
                raise unknown("connection", code)
        return connection(rows, asked, node=Delivery.of, place=queries.KEPT.place)


@strawberry.type
class DeliveryMutation:
    """Writes of deliveries."""

    @resolved("Work on deliveries again from what they said. What had its effect has none again. "
              "For staff and admins; for a business, its own.")  # fmt: skip
    async def replay_deliveries(
        self,
        info: Info,
        input: Given[ReplayDeliveriesInput],  # noqa: A002
    ) -> ReplayDeliveriesResult:
        """Ask for it and commit, or answer why not."""
        context = info.context
        try:
            require(context.principal, *WEBHOOK_READERS)
            numbers = await _numbers(context, input)
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        dead = queries.DeliveryFilter(
            connection=input.connection, states=(queries.DeliveryState.DEAD,)
        )
        own_id = await context.own_business_id()
        async with context.writing() as db:
            found = await replay(
                db,
                now=context.now,
                delivery_ids=numbers,
                search=None if input.connection is None else dead,
                business_id=own_id,
                most=MOST_AT_ONCE,
            )
        return DeliveriesReplayed(count=found)


def delivery_numbers(named: Sequence[str] | None, *, of: str, all_of: str | None) -> list[int]:
    """Return the deliveries that are named; raises Malformed where neither these nor `all_of` is.

    `all_of` is what others are of instead, which is called `of`.
    """
    if not named and all_of is None:
        raise errors.Malformed(f"name `deliveries` or a `{of}`", field="deliveries")
    if len(named or ()) > MOST_DELIVERIES:
        raise errors.Malformed(
            f"name up to {MOST_DELIVERIES} deliveries at once, or a {of}", field="deliveries"
        )
    return [whole_number(one, field="deliveries") for one in named or ()]


async def _numbers(context: Context, asked: ReplayDeliveriesInput) -> list[int]:
    """Return the deliveries that are named; raises Malformed for what is not there."""
    code = asked.connection
    numbers = delivery_numbers(asked.deliveries, of="connection", all_of=code)
    own_id = await context.own_business_id()
    async with context.reading() as db:
        unknown = await queries.unknown_kept(db, delivery_ids=numbers, business_id=own_id)
        known = code is None or (
            code.isprintable() and await queries.is_connection(db, code=code, business_id=own_id)
        )
    if unknown:
        raise errors.Malformed(f"there is no delivery {unknown[0]}", field="deliveries")
    if not known:
        raise errors.Malformed(f"there is no connection {code!r}", field="connection")
    return numbers


async def _only(context: Context, told: dict[str, Any]) -> queries.DeliveryFilter:
    """Return what a filter says as deliveries are read by it."""
    if "business" in told:
        visible_business(context.caller, asked=told["business"])
    only = await by_businesses(context, told, "business")
    only.setdefault("business_id", await context.own_business_id())
    if "states" in only:
        only["states"] = tuple(queries.DeliveryState(state.value) for state in only["states"])
    return queries.DeliveryFilter(**only)
