"""Reads of the intake, for people who look after it. No body is shown: bodies name people."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of_each


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which deliveries are meant: all that agree with everything that is said.

    `reason` is part of the reason, `code` and `field` the whole of theirs.
    """

    state: str | None = None
    connection: str | None = None
    topic: str | None = None
    code: str | None = None
    field: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


MATCHES = """
  (CAST(:state AS text) IS NULL OR d.state = :state)
  AND (CAST(:connection AS text) IS NULL OR c.code = :connection)
  AND (CAST(:topic AS text) IS NULL OR d.topic = :topic)
  AND (CAST(:code AS text) IS NULL OR d.reason_code = :code)
  AND (CAST(:field AS text) IS NULL OR d.reason_field = :field)
  AND (CAST(:reason AS text) IS NULL OR position(lower(:reason) IN lower(d.reason)) > 0)
  AND (CAST(:since AS timestamptz) IS NULL OR d.received_at >= :since)
  AND (CAST(:until AS timestamptz) IS NULL OR d.received_at < :until)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """A delivery as a list shows it; `field` is the place in the payload that was wrong."""

    delivery_id: int
    connection: str
    topic: str | None
    state: str
    received_at: datetime
    code: str | None
    field: str | None
    reason: str | None


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDelivery:
    """A delivery as its business sees it: without words, which may quote what came in."""

    delivery_id: int
    business_id: int
    connection: str
    connector: str
    topic: str | None
    state: str
    received_at: datetime
    finished_at: datetime | None
    code: str | None
    field: str | None


KEPT = Keyset(
    (Column("delivery_id", int, "d.delivery_id"),),
    descending=True,
    where="d.connection_id = c.connection_id AND d.shredded_at IS NULL",
)
"""The newest first."""


class KeptFilter(NamedTuple):
    """Which deliveries: of a business, or one of its connections (its code); as in Search."""

    business_id: int | None = None
    connection: str | None = None
    states: tuple[DeliveryState, ...] | None = None
    topic: str | None = None
    code: str | None = None
    field: str | None = None


_OF_CONNECTIONS = {
    "business_id": "c.business_id = :business_id",
    "connection": "c.code = :connection",
}
_KEPT_FILTERS = {
    "topic": "d.topic = :topic",
    "code": "d.reason_code = :code",
    "field": "d.reason_field = :field",
}


async def kept_deliveries(
    db: AsyncConnection, *, only: KeptFilter, stretch: Stretch
) -> list[KeptDelivery]:
    """Return deliveries whose bodies are kept, by KEPT: so many of each connection are read."""
    ending, owners, facts = page_of_each(
        KEPT,
        stretch,
        only=only._asdict(),
        filters=_KEPT_FILTERS,
        owners=_OF_CONNECTIONS,
        states=DeliveryState,
    )
    rows = await db.execute(
        text(f"""
          SELECT d.delivery_id, c.business_id, c.code AS connection, c.connector, d.topic, d.state,
            d.received_at, d.finished_at, d.reason_code AS code, d.reason_field AS field
          FROM connection c CROSS JOIN LATERAL (
            SELECT delivery_id, topic, state, received_at, finished_at, reason_code, reason_field
            FROM delivery d {ending}) d
          WHERE {owners} ORDER BY {KEPT.order(stretch)} LIMIT :limit"""),  # noqa: S608 - no input in it
        facts,
    )
    return [KeptDelivery(**row._asdict()) for row in rows]


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


async def deliveries(
    db: AsyncConnection, *, search: Search, before_id: int | None = None, limit: int = 50
) -> list[DeliveryView]:
    """Return the deliveries that are meant, newest first."""
    rows = await db.execute(
        text(f"""
          SELECT d.delivery_id, c.code AS connection, d.topic, d.state, d.received_at,
            d.reason_code AS code, d.reason_field AS field, d.reason
          FROM delivery d JOIN connection c USING (connection_id)
          WHERE {MATCHES}
            AND (CAST(:before_id AS bigint) IS NULL OR d.delivery_id < :before_id)
          ORDER BY d.delivery_id DESC LIMIT :limit"""),  # noqa: S608 - a constant of ours
        {**asdict(search), "before_id": before_id, "limit": limit},
    )
    return [DeliveryView(**row._asdict()) for row in rows]


async def counts(db: AsyncConnection) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    rows = await db.execute(text("SELECT state, count(*) AS number FROM delivery GROUP BY state"))
    return {row.state: row.number for row in rows}
