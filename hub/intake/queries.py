"""Reads of the intake, for people who look after it. No body is shown: bodies name people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, conditions, page_of_each


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    DEAD = "dead"


class DeliveryFilter(NamedTuple):
    """Which deliveries are meant: all that agree with everything that is said.

    `connection` is a code. `reason` is part of the reason; its code and field are the whole of
    theirs.
    """

    business_id: int | None = None
    connection: str | None = None
    states: tuple[DeliveryState, ...] | None = None
    topic: str | None = None
    reason_code: str | None = None
    reason_field: str | None = None
    reason: str | None = None
    received_from: datetime | None = None
    received_before: datetime | None = None


_OF_CONNECTIONS = {
    "business_id": "c.business_id = :business_id",
    "connection": "c.code = :connection",
}
_FILTERS = {
    "topic": "d.topic = :topic",
    "reason_code": "d.reason_code = :reason_code",
    "reason_field": "d.reason_field = :reason_field",
    "reason": "position(lower(:reason) IN lower(d.reason)) > 0",
    "received_from": "d.received_at >= :received_from",
    "received_before": "d.received_at < :received_before",
}
_STATES = {"states": "d.state = ANY (CAST(:states AS text[]))"}


def meant(only: DeliveryFilter) -> tuple[str, dict[str, Any]]:
    """Return what holds, in SQL, of deliveries `d` of connections `c`, and its parameters."""
    held, facts = conditions(only._asdict(), _OF_CONNECTIONS | _FILTERS | _STATES)
    return " AND ".join(held) or "true", facts


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """A delivery as a list shows it; `reason_field` is the place in the payload that was wrong.

    `reason` is for whoever looks after the hub alone: its words may quote what came in.
    """

    delivery_id: int
    business_id: int
    connection: str
    connector: str
    topic: str | None
    state: str
    received_at: datetime
    finished_at: datetime | None
    reason_code: str | None
    reason_field: str | None
    reason: str | None = None


_SHOWN = """d.delivery_id, c.business_id, c.code AS connection, c.connector, d.topic, d.state,
  d.received_at, d.finished_at, d.reason_code, d.reason_field"""
KEPT = Keyset(
    (
        Column("received_at", datetime, "d.received_at"),
        Column("delivery_id", int, "d.delivery_id"),
    ),
    descending=True,
    where="d.connection_id = c.connection_id AND d.shredded_at IS NULL",
)
"""The newest first."""


async def kept_deliveries(
    db: AsyncConnection, *, only: DeliveryFilter, stretch: Stretch
) -> list[DeliveryView]:
    """Return deliveries whose bodies are kept, by KEPT: so many of each connection are read."""
    ending, owners, facts = page_of_each(
        KEPT,
        stretch,
        only=only._asdict(),
        filters=_FILTERS,
        owners=_OF_CONNECTIONS,
        written={"states": ("d.state", DeliveryState)},
    )
    rows = await db.execute(
        text(f"""
          SELECT {_SHOWN}
          FROM connection c CROSS JOIN LATERAL (
            SELECT delivery_id, topic, state, received_at, finished_at, reason_code, reason_field
            FROM delivery d {ending}) d
          WHERE {owners} ORDER BY {KEPT.order(stretch)} LIMIT :limit"""),  # noqa: S608 - no input in it
        facts,
    )
    return [DeliveryView(**row._asdict()) for row in rows]


async def all_deliveries(
    db: AsyncConnection, *, only: DeliveryFilter, limit: int = 50
) -> list[DeliveryView]:
    """Return deliveries with their reasons, the latest number first.

    Those whose bodies are forgotten, too: of these there is no order by connection and time.
    """
    held, facts = meant(only)
    rows = await db.execute(
        text(f"""
          SELECT {_SHOWN}, d.reason FROM delivery d JOIN connection c USING (connection_id)
          WHERE {held} ORDER BY d.delivery_id DESC LIMIT :limit"""),  # noqa: S608 - constants of ours
        facts | {"limit": limit},
    )
    return [DeliveryView(**row._asdict()) for row in rows]


async def unknown_kept(
    db: AsyncConnection, *, delivery_ids: Sequence[int], business_id: int | None = None
) -> list[int]:
    """Return those that are not kept, or not of `business_id` if that is said."""
    rows = await db.scalars(
        text("""
          SELECT asked FROM unnest(CAST(:ids AS bigint[])) asked WHERE NOT EXISTS (
            SELECT FROM delivery d JOIN connection c USING (connection_id)
            WHERE d.delivery_id = asked AND d.shredded_at IS NULL
              AND c.business_id = coalesce(CAST(:business_id AS smallint), c.business_id))"""),
        {"ids": list(delivery_ids), "business_id": business_id},
    )
    return list(rows)


async def is_connection(db: AsyncConnection, *, code: str, business_id: int | None = None) -> bool:
    """Return whether there is a connection of that code, of `business_id` if that is said."""
    found = await db.scalar(
        text("""
          SELECT true FROM connection WHERE code = :code
            AND business_id = coalesce(CAST(:business_id AS smallint), business_id)"""),
        {"code": code, "business_id": business_id},
    )
    return bool(found)


async def counts(db: AsyncConnection) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    rows = await db.execute(text("SELECT state, count(*) AS number FROM delivery GROUP BY state"))
    return {row.state: row.number for row in rows}
