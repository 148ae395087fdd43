"""Reads of what was told: the subscriptions, and the log of their deliveries."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDeliveryView:
    """One line of the log."""

    event_delivery_id: int
    event_id: int
    subscription: str
    type: str
    state: str
    attempts: int
    status: int | None
    error: str | None
    asked_at: datetime
    tried_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """A subscription with how its deliveries stand."""

    code: str
    business: str
    url: str
    types: list[str]
    active: bool
    stopped_because: str | None
    pending: int
    dead: int


async def event_deliveries(
    db: AsyncConnection,
    *,
    subscription: str | None = None,
    state: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[EventDeliveryView]:
    """Return the log, newest first."""
    rows = await db.execute(
        text("""
          SELECT d.event_delivery_id, d.event_id, s.code AS subscription, e.type, d.state,
            d.attempts, d.status, d.error, d.asked_at, d.tried_at
          FROM event_delivery d JOIN subscription s USING (subscription_id)
          JOIN hub_event e USING (event_id)
          WHERE (CAST(:subscription AS text) IS NULL OR s.code = :subscription)
            AND (CAST(:state AS text) IS NULL OR d.state = :state)
            AND (CAST(:before_id AS bigint) IS NULL OR d.event_delivery_id < :before_id)
          ORDER BY d.event_delivery_id DESC LIMIT :limit"""),
        {"subscription": subscription, "state": state, "before_id": before_id, "limit": limit},
    )
    return [EventDeliveryView(**row._asdict()) for row in rows]


async def subscriptions(db: AsyncConnection) -> list[SubscriptionView]:
    """Return all subscriptions."""
    rows = await db.execute(
        text("""
          SELECT s.code, b.code AS business, s.url, s.types, s.active, s.stopped_because,
            (SELECT count(*) FROM event_delivery d
             WHERE d.subscription_id = s.subscription_id AND d.state = 'pending') AS pending,
            (SELECT count(*) FROM event_delivery d
             WHERE d.subscription_id = s.subscription_id AND d.state = 'dead') AS dead
          FROM subscription s JOIN business b USING (business_id) ORDER BY s.code""")
    )
    return [SubscriptionView(**row._asdict()) for row in rows]
