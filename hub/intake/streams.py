"""Streams: which there are to pull, since when, and what pulling them found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Pulling
from hub.db.keyset import Column, Keyset, Stretch, page_of
from hub.intake.connections import Wired

PULL_STREAM = "intake.pull_stream"
"""The actor that pulls streams, by their ids."""
LIVE = "live"
"""What a stream is called that is listened to instead of pulled; see hub.intake.listen."""
FIRST_LOOKS_BACK = timedelta(days=1)
"""How far the first pull of a new connection looks back; `hub intake backfill` looks further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """A stream as it is shown. `found` counts facts of the last 30 days that nobody had sent."""

    connection: str
    stream: str
    pages: int
    found: int
    ended_at: datetime | None
    next_at: datetime
    last_error: str | None


def streams_of(wired: Wired) -> Sequence[str]:
    """Return what can be pulled of a connection: nothing where there is nobody to ask."""
    if isinstance(wired.connector, Pulling) and wired.plug.config.base_url:
        return wired.connector.streams
    return ()


async def keep_streams(db: AsyncConnection, *, wired: Sequence[Wired], now: datetime) -> None:
    """See to it that every stream of these connections is pulled."""
    rows = [(one.connection_id, stream) for one in wired for stream in streams_of(one)]
    if rows:
        await db.execute(
            text("""
              INSERT INTO pull_stream (connection_id, stream, since, next_at)
              SELECT c, s, CAST(:since AS timestamptz), :now
              FROM unnest(CAST(:connections AS smallint[]), CAST(:streams AS text[])) AS x (c, s)
              ON CONFLICT (connection_id, stream) DO NOTHING"""),
            {
                "connections": [connection_id for connection_id, _ in rows],
                "streams": [stream for _, stream in rows],
                "since": now - FIRST_LOOKS_BACK,
                "now": now,
            },
        )


async def due_streams(db: AsyncConnection, *, now: datetime) -> list[int]:
    """Return the streams to pull now, and let nobody else find them due for a while."""
    rows = await db.scalars(
        text("""
          UPDATE pull_stream p SET next_at = CAST(:now AS timestamptz) + interval '10 minutes'
          FROM (SELECT s.stream_id FROM pull_stream s JOIN connection c USING (connection_id)
                WHERE s.next_at <= :now AND c.active AND s.stream <> :live
                ORDER BY s.stream_id FOR UPDATE OF s SKIP LOCKED) AS due
          WHERE p.stream_id = due.stream_id RETURNING p.stream_id"""),
        {"now": now, "live": LIVE},
    )
    return sorted(rows)


async def backfill(
    db: AsyncConnection, *, wired: Wired, since: datetime, now: datetime
) -> list[int]:
    """Have every stream of a connection pulled from `since` on; returns them.

    A backfill under way begins anew. What was posted is not posted again.
    """
    await keep_streams(db, wired=[wired], now=now)
    rows = await db.scalars(
        text("""
          UPDATE pull_stream SET cursor = NULL, since = :since, backfilling = true,
            began_at = NULL, next_at = CAST(:now AS timestamptz) + interval '10 minutes'
          WHERE connection_id = :connection_id AND stream = ANY (CAST(:streams AS text[]))
          RETURNING stream_id"""),
        {
            "connection_id": wired.connection_id,
            "streams": list(streams_of(wired)),
            "since": since,
            "now": now,
        },
    )
    return sorted(rows)


async def stream_views(db: AsyncConnection, *, now: datetime) -> list[StreamView]:
    """Return all streams with what they found."""
    rows = await db.execute(
        text("""
          SELECT c.code AS connection, s.stream, s.pages, s.ended_at, s.next_at, s.last_error,
            (SELECT count(*) FROM fact_found f WHERE f.stream_id = s.stream_id
               AND f.found_at > CAST(:now AS timestamptz) - interval '30 days') AS found
          FROM pull_stream s JOIN connection c USING (connection_id)
          ORDER BY c.code, s.stream"""),
        {"now": now},
    )
    return [StreamView(**row._asdict()) for row in rows]


BY_CONNECTION = Keyset((Column("connection", str, "c.code"), Column("stream", str, "s.stream")))
"""By the connection's code and the stream's name."""
_FILTERS = {"connection": "c.code = :connection", "stream_ids": "s.stream_id = ANY (:stream_ids)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStanding:
    """Where a stream stands, for callers who see no cursor and no words of an upstream system.

    `began_at` is None while no pull is under way.
    """

    connection: str
    business_id: int
    connector: str
    stream: str
    backfilling: bool
    since: datetime
    pages: int
    began_at: datetime | None
    ended_at: datetime | None
    next_at: datetime
    failing: bool


async def stream_page(
    db: AsyncConnection, *, only: Mapping[str, Any], stretch: Stretch
) -> list[StreamStanding]:
    """Return streams by BY_CONNECTION; `only` says of which `connection`, or which `stream_ids`."""
    ending, facts = page_of(BY_CONNECTION, stretch, only=only, filters=_FILTERS)
    rows = await db.execute(
        text(f"""
          SELECT c.code AS connection, c.business_id, c.connector, s.stream, s.backfilling, s.since,
            s.pages, s.began_at, s.ended_at, s.next_at, s.failing
          FROM pull_stream s JOIN connection c USING (connection_id) {ending}"""),  # noqa: S608
        facts,
    )
    return [StreamStanding(**row._asdict()) for row in rows]
