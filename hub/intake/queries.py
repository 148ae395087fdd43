"""Reads of the intake, for people who look after it. No body is shown: bodies name people."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


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
