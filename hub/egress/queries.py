"""Reads of what was told: the subscriptions, and the log of their deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of_each


class EventDeliveryState(StrEnum):
    """Where a line of the log stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDeliveryView:
    """One line of the log."""

    event_delivery_id: int
    event_id: int
    subscription: str
    business_id: int
    type: str
    state: str
    attempts: int
    status: int | None
    error: str | None
    occurred_at: datetime
    asked_at: datetime
    tried_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """A subscription with how its deliveries stand."""

    code: str
    business_id: int
    business: str
    url: str
    types: list[str]
    active: bool
    stopped_because: str | None
    pending: int
    dead: int


class PassedOver(NamedTuple):
    """Deliveries that are not told again: why their subscription was stopped, and how many."""

    stopped: str
    deliveries: int


DELIVERIES = Keyset(
    (
        Column("asked_at", datetime, "d.asked_at"),
        Column("event_delivery_id", int, "d.event_delivery_id"),
    ),
    descending=True,
    where="d.subscription_id = s.subscription_id",
)
"""The newest first."""


class EventDeliveryFilter(NamedTuple):
    """Which lines of the log: of a business, or one of its subscriptions (its code); of an event,
    or of these types; in these states; asked for when.
    """

    business_id: int | None = None
    subscription: str | None = None
    event_id: int | None = None
    types: tuple[str, ...] | None = None
    states: tuple[EventDeliveryState, ...] | None = None
    asked_from: datetime | None = None
    asked_before: datetime | None = None


_OF_SUBSCRIPTIONS = {
    "business_id": "s.business_id = :business_id",
    "subscription": "s.code = :subscription",
}
_FILTERS = {
    "event_id": "d.event_id = :event_id",
    "types": """EXISTS (SELECT FROM hub_event e
      WHERE e.event_id = d.event_id AND e.type = ANY (CAST(:types AS text[])))""",
    "asked_from": "d.asked_at >= :asked_from",
    "asked_before": "d.asked_at < :asked_before",
}


async def event_deliveries(
    db: AsyncConnection, *, only: EventDeliveryFilter | None = None, stretch: Stretch
) -> list[EventDeliveryView]:
    """Return lines of the log, by DELIVERIES: so many of each subscription are looked at."""
    ending, owners, facts = page_of_each(
        DELIVERIES,
        stretch,
        only=(only or EventDeliveryFilter())._asdict(),
        filters=_FILTERS,
        owners=_OF_SUBSCRIPTIONS,
        written={"states": ("d.state", EventDeliveryState)},
    )
    order = DELIVERIES.order(stretch)
    rows = await db.execute(
        text(f"""
          SELECT d.event_delivery_id, d.event_id, d.subscription, d.business_id, e.type, d.state,
            d.attempts, d.status, d.error, e.occurred_at, d.asked_at, d.tried_at, d.ended_at
          FROM (
            SELECT d.*, s.code AS subscription, s.business_id FROM subscription s
            CROSS JOIN LATERAL (SELECT d.* FROM event_delivery d {ending}) d
            WHERE {owners} ORDER BY {order} LIMIT :limit) d
          JOIN hub_event e USING (event_id) ORDER BY {order}"""),  # noqa: S608 - no input in it
        facts,
    )
    return [EventDeliveryView(**row._asdict()) for row in rows]


async def unknown_deliveries(
    db: AsyncConnection, *, event_delivery_ids: Sequence[int], business_id: int | None = None
) -> list[int]:
    """Return those that are not there, or are not told to `business_id` if that is said."""
    rows = await db.scalars(
        text("""
          SELECT asked FROM unnest(CAST(:ids AS bigint[])) asked WHERE NOT EXISTS (
            SELECT FROM event_delivery d JOIN subscription s USING (subscription_id)
            WHERE d.event_delivery_id = asked
              AND s.business_id = coalesce(CAST(:business_id AS smallint), s.business_id))"""),
        {"ids": list(event_delivery_ids), "business_id": business_id},
    )
    return list(rows)


async def stopped_because(
    db: AsyncConnection,
    *,
    code: str | None,
    event_delivery_ids: Sequence[int],
    business_id: int | None = None,
) -> dict[str, str | None]:
    """Return by code why the subscription of that code was stopped, and those of these deliveries.

    None: it is active. Others' than `business_id`'s, if that is said, are left out.
    """
    rows = await db.execute(
        text("""
          SELECT s.code, CASE WHEN NOT s.active THEN s.stopped_because END AS why
          FROM subscription s
          WHERE s.business_id = coalesce(CAST(:business_id AS smallint), s.business_id)
            AND (s.code = :code OR s.subscription_id IN (
              SELECT d.subscription_id FROM event_delivery d
              WHERE d.event_delivery_id = ANY (CAST(:ids AS bigint[]))))
          ORDER BY s.code"""),
        {"code": code, "ids": list(event_delivery_ids), "business_id": business_id},
    )
    return {row.code: row.why for row in rows}


MEANT = """(d.event_delivery_id = ANY (CAST(:ids AS bigint[]))
  OR (s.code = :subscription AND (d.state = 'dead' OR NOT :dead_only)
    AND d.asked_at >= coalesce(CAST(:since AS timestamptz), '-infinity')))"""
"""Which deliveries are to be told again: these, and those of a subscription since then."""


async def passed_over(
    db: AsyncConnection,
    *,
    event_delivery_ids: Sequence[int] = (),
    subscription: str | None = None,
    since: datetime | None = None,
    dead_only: bool = True,
) -> list[PassedOver]:
    """Return what a replay of the same leaves out since its subscription was stopped, by code.

    The named subscription is told of where it was stopped, even if nothing of it is left out.
    """
    rows = await db.execute(
        text(f"""
          SELECT s.code, s.stopped_because, count(d.event_delivery_id) AS deliveries
          FROM subscription s LEFT JOIN event_delivery d
            ON d.subscription_id = s.subscription_id AND d.state <> 'pending' AND {MEANT}
          WHERE NOT s.active GROUP BY s.subscription_id
          HAVING s.code = :subscription OR count(d.event_delivery_id) > 0
          ORDER BY s.code"""),  # noqa: S608 - a constant of ours
        {
            "ids": list(event_delivery_ids),
            "subscription": subscription,
            "since": since,
            "dead_only": dead_only,
        },
    )
    return [PassedOver(was_stopped(row.code, row.stopped_because), row.deliveries) for row in rows]


def was_stopped(code: str, why: str) -> str:
    """Say that a subscription was stopped, and why."""
    return f"{code} was stopped: {why}"


async def subscriptions(
    db: AsyncConnection, *, business_id: int | None = None
) -> list[SubscriptionView]:
    """Return all subscriptions, or those of a business."""
    rows = await db.execute(
        text("""
          SELECT s.code, s.business_id, b.code AS business, s.url, s.types, s.active,
            s.stopped_because,
            (SELECT count(*) FROM event_delivery d
             WHERE d.subscription_id = s.subscription_id AND d.state = 'pending') AS pending,
            (SELECT count(*) FROM event_delivery d
             WHERE d.subscription_id = s.subscription_id AND d.state = 'dead') AS dead
          FROM subscription s JOIN business b USING (business_id)
          WHERE s.business_id = coalesce(CAST(:business_id AS smallint), s.business_id)
          ORDER BY s.code"""),
        {"business_id": business_id},
    )
    return [SubscriptionView(**row._asdict()) for row in rows]
