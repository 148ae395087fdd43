"""Telling a business again what it was told by webhooks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import strawberry

from graphql_schema.access import WEBHOOK_READERS, require
from graphql_schema.context import Context, Info
from graphql_schema.deliveries import MOST_AT_ONCE, MOST_DELIVERIES, delivery_numbers
from graphql_schema.fields import Given, resolved
from graphql_schema.filters import has_offset
from graphql_schema.rejections import Forbidden, InvalidInput, Rejection, unfit
from graphql_schema.scalars import Long
from hub import errors
from hub.egress import queries
from hub.egress.replay import replay


@strawberry.input(description="What is to be told again: deliveries, those of a subscription, or "
                              "both.")  # fmt: skip
class RedeliverWebhooksInput:
    """A replay."""

    deliveries: list[strawberry.ID] | None = strawberry.field(
        default=None,
        description=f"These, by their numbers, up to {MOST_DELIVERIES}, whether they were given up "
        "or delivered.",
    )
    subscription: str | None = strawberry.field(
        default=None, description="All that was given up of this one, by its short name."
    )
    include_delivered: bool = strawberry.field(
        default=False, description="Of `subscription`: what was delivered too."
    )
    since: datetime | None = strawberry.field(
        default=None,
        description="Of `subscription`: only what was to be told then or later, with an offset "
        "from UTC.",
    )


@strawberry.type(description="It will be told again.")
class WebhooksRedelivered:
    """Success."""

    count: int = strawberry.field(
        graphql_type=Long,
        description="How many deliveries; what is under way already is left to it. Where it is "
        f"{MOST_AT_ONCE}, the oldest, there may be more: ask again.",
    )


@strawberry.type(description="The subscription that is named, or one that a delivery is of, was "
                             "stopped: applying the group's file starts it again.")  # fmt: skip
class WebhookSubscriptionStopped(Rejection):
    """Nothing was stored."""


RedeliverWebhooksResult = Annotated[
    WebhooksRedelivered | WebhookSubscriptionStopped | InvalidInput | Forbidden,
    strawberry.union("RedeliverWebhooksResult", description="What came of telling again."),
]


@strawberry.type
class WebhookMutation:
    """Writes of webhooks."""

    @resolved("Tell a business again what it was told by webhooks. Events keep their ids, so that "
              "whoever has one knows. For staff and admins; for a business, its own.")  # fmt: skip
    async def redeliver_webhooks(
        self,
        info: Info,
        input: Given[RedeliverWebhooksInput],  # noqa: A002
    ) -> RedeliverWebhooksResult:
        """Ask for it and commit, or answer why not."""
        context = info.context
        try:
            require(context.principal, *WEBHOOK_READERS)
            numbers = await _numbers(context, input)
            stopped = await _stopped(context, input, numbers)
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        if stopped is not None:
            return WebhookSubscriptionStopped(message=stopped)
        own_id = await context.own_business_id()
        async with context.writing() as db:
            found = await replay(
                db,
                now=context.now,
                event_delivery_ids=numbers,
                subscription=input.subscription,
                since=input.since,
                dead_only=not input.include_delivered,
                business_id=own_id,
                most=MOST_AT_ONCE,
            )
        return WebhooksRedelivered(count=found)


async def _numbers(context: Context, asked: RedeliverWebhooksInput) -> list[int]:
    """Return the deliveries that are named; raises Malformed for one that is not there."""
    numbers = delivery_numbers(asked.deliveries, of="subscription", all_of=asked.subscription)
    own_id = await context.own_business_id()
    async with context.reading() as db:
        unknown = await queries.unknown_deliveries(
            db, event_delivery_ids=numbers, business_id=own_id
        )
    if unknown:
        raise errors.Malformed(f"there is no delivery {unknown[0]}", field="deliveries")
    return numbers


async def _stopped(
    context: Context, asked: RedeliverWebhooksInput, numbers: Sequence[int]
) -> str | None:
    """Return why one of the subscriptions was stopped that are to be told again; None: none was.

    Raises Malformed for what is amiss.
    """
    if asked.since is not None:
        has_offset("since", asked.since)
    if asked.subscription is None:
        for name, said in (("includeDelivered", asked.include_delivered), ("since", asked.since)):
            if said:
                raise errors.Malformed(f"`{name}` is of a `subscription`: name one", field=name)
    elif not asked.subscription.isprintable():
        raise _no_subscription(asked.subscription)
    own_id = await context.own_business_id()
    async with context.reading() as db:
        found = await queries.stopped_because(
            db, code=asked.subscription, event_delivery_ids=numbers, business_id=own_id
        )
    if asked.subscription not in (None, *found):
        raise _no_subscription(asked.subscription)
    told = (queries.was_stopped(code, why) for code, why in found.items() if why is not None)
    return next(told, None)


def _no_subscription(code: str | None) -> errors.Malformed:
    return errors.Malformed(f"there is no subscription {code!r}", field="subscription")
