"""Streams: which there are to pull, since when, and what pulling them found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Pulling
from hub.db.keyset import Column, Keyset, Stretch, page_of
from hub.errors import Malformed
from hub.intake.connections import Wired

PULL_STREAM = "intake.pull_stream"
"""The actor that pulls streams, by their ids."""
LIVE = "live"
"""What a stream is called that is listened to instead of pulled; see hub.intake.listen."""
FIRST_LOOKS_BACK = timedelta(days=1)
"""How far the first pull of a new connection looks back; `hub intake backfill` looks further."""


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

    A backfill under way begins anew. What was posted is not posted again. Raises Malformed for a
    connection of which nothing can be pulled.
    """
    streams = list(streams_of(wired))
    if not streams:
        raise Malformed(
            f"{wired.connector.spec.title} cannot be asked, or has no config.base_url",
            field="connection",
        )
    await keep_streams(db, wired=[wired], now=now)
    rows = await db.scalars(
        text("""
          UPDATE pull_stream SET cursor = NULL, since = :since, backfilling = true,
            began_at = NULL, next_at = CAST(:now AS timestamptz) + interval '10 minutes'
          WHERE connection_id = :connection_id AND stream = ANY (CAST(:streams AS text[]))
          RETURNING stream_id"""),
        {
            "connection_id": wired.connection_id,
            "streams": streams,
            "since": since,
            "now": now,
        },
    )
    return sorted(rows)


BY_CONNECTION = Keyset((Column("connection", str, "c.code"), Column("stream", str, "s.stream")))
"""By the connection's code and the stream's name."""
_FILTERS = {
    "business_id": "c.business_id = :business_id",
    "connection": "c.code = :connection",
    "failing": "s.failing = :failing",
    "stream_ids": "s.stream_id = ANY (:stream_ids)",
}
_OWN = """, s.last_error, (SELECT count(*) FROM fact_found f
  WHERE f.stream_id = s.stream_id AND f.found_at > :found_since) AS found"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """Where a stream stands. `began_at` is None while no pull is under way.

    `found`, which counts facts that nobody had sent, and the words of what was wrong are for
    whoever looks after the hub alone: nobody else is shown words of an upstream system.
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
    found: int = 0
    last_error: str | None = None


async def stream_page(
    db: AsyncConnection,
    *,
    only: Mapping[str, Any] | None = None,
    stretch: Stretch,
    found_since: datetime | None = None,
) -> list[StreamView]:
    """Return streams by BY_CONNECTION; `only` says of which `business_id` or `connection`, whether
    `failing`, or which `stream_ids`. With `found_since` each has what is for the hub's own people.
    """
    ending, facts = page_of(BY_CONNECTION, stretch, only=only or {}, filters=_FILTERS)
    own = "" if found_since is None else _OWN
    rows = await db.execute(
        text(f"""
          SELECT c.code AS connection, c.business_id, c.connector, s.stream, s.backfilling, s.since,
            s.pages, s.began_at, s.ended_at, s.next_at, s.failing{own}
          FROM pull_stream s JOIN connection c USING (connection_id) {ending}"""),  # noqa: S608
        facts if found_since is None else facts | {"found_since": found_since},
    )
    return [StreamView(**row._asdict()) for row in rows]
