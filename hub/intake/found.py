"""Found: facts that a reconciling pull brought and nobody had sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.deliveries import Opened
from hub.intake.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFact:
    """A fact that only a pull told of."""

    found_at: datetime
    connection: str
    stream: str
    kind: str
    source_id: str


async def note_found(
    db: AsyncConnection, *, new: Sequence[Fact], deliveries: Sequence[Opened], now: datetime
) -> None:
    """Keep which of the facts just posted came by a reconciling pull first."""
    streams = {d.delivery_id: d.stream_id for d in deliveries if d.origin == "reconcile"}
    found = [fact for fact in new if streams.get(fact.delivery_id) is not None]
    if found:
        await db.execute(
            text("""
              INSERT INTO fact_found (connection_id, kind, source_id, stream_id, found_at)
              SELECT *, CAST(:now AS timestamptz) FROM unnest(CAST(:connections AS smallint[]),
                CAST(:kinds AS text[]), CAST(:ids AS text[]), CAST(:streams AS bigint[]))
              ON CONFLICT DO NOTHING"""),
            {
                "connections": [fact.key.connection_id for fact in found],
                "kinds": [fact.key.kind for fact in found],
                "ids": [fact.key.id for fact in found],
                "streams": [streams[fact.delivery_id] for fact in found],
                "now": now,
            },
        )


async def found_facts(db: AsyncConnection, *, since: datetime, limit: int = 200) -> list[FoundFact]:
    """Return what was found since then, newest first."""
    rows = await db.execute(
        text("""
          SELECT f.found_at, c.code AS connection, s.stream, f.kind, f.source_id
          FROM fact_found f JOIN pull_stream s USING (stream_id)
          JOIN connection c ON c.connection_id = f.connection_id
          WHERE f.found_at >= :since ORDER BY f.found_at DESC, f.kind, f.source_id LIMIT :limit"""),
        {"since": since, "limit": limit},
    )
    return [FoundFact(**row._asdict()) for row in rows]
