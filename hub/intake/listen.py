"""Listen: the streams that the hub keeps open, and where each of them stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import NotYet, Streaming
from hub.crypto.keyring import Keyring
from hub.errors import HubError
from hub.intake.connections import Wired
from hub.intake.pull import LONGEST_REASON
from hub.intake.store import store
from hub.intake.streams import FIRST_LOOKS_BACK, LIVE

# Of the advisory locks with two keys, those that say who listens.
_LOCK_SPACE = 0x4C49
FIRST_WAIT_SECONDS = 4
LONGEST_WAIT_SECONDS = 300
AFTER_A_REFUSAL_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A stream that is to be listened to now."""

    stream_id: int
    connection_id: int


async def live_due(db: AsyncConnection, *, wired: Sequence[Wired], now: datetime) -> list[Live]:
    """Return the live streams of these connections, but for those that are to be left alone yet."""
    listened = [one.connection_id for one in wired if listens(one)]
    if not listened:
        return []
    await db.execute(
        text("""
          INSERT INTO pull_stream (connection_id, stream, since, next_at, backfilling)
          SELECT c, :live, CAST(:since AS timestamptz), :now, false
          FROM unnest(CAST(:connections AS smallint[])) AS x (c)
          ON CONFLICT (connection_id, stream) DO NOTHING"""),
        {"connections": listened, "live": LIVE, "since": now - FIRST_LOOKS_BACK, "now": now},
    )
    rows = await db.execute(
        text("""
          SELECT stream_id, connection_id FROM pull_stream
          WHERE stream = :live AND next_at <= :now
            AND connection_id = ANY (CAST(:connections AS smallint[]))
          ORDER BY stream_id"""),
        {"live": LIVE, "now": now, "connections": listened},
    )
    return [Live(stream_id=row.stream_id, connection_id=row.connection_id) for row in rows]


def listens(wired: Wired) -> bool:
    """Say whether a connection's system is to be listened to."""
    return (
        isinstance(wired.connector, Streaming)
        and bool(wired.plug.config.base_url)
        and wired.connector.listens(wired.plug)
    )


async def take_place(db: AsyncConnection, *, stream_id: int) -> bool:
    """Become the one who listens, for as long as the database connection lives.

    What is kept goes through the same connection: who has lost it can keep nothing any more.
    """
    return bool(
        await db.scalar(
            text("SELECT pg_try_advisory_lock(:space, CAST(:stream_id AS int))"),
            {"space": _LOCK_SPACE, "stream_id": stream_id},
        )
    )


async def cursor_of(db: AsyncConnection, *, stream_id: int) -> str | None:
    """Return where to go on."""
    found: str | None = await db.scalar(
        text("SELECT cursor FROM pull_stream WHERE stream_id = :stream_id"),
        {"stream_id": stream_id},
    )
    return found


async def keep(
    db: AsyncConnection,
    *,
    live: Live,
    wired: Wired,
    messages: Sequence[bytes],
    now: datetime,
    keyring: Keyring,
) -> None:
    """Store messages and, with them, where they end; the caller commits."""
    if not isinstance(wired.connector, Streaming):
        raise TypeError(f"{wired.code} is not listened to")
    places = [wired.connector.place(body) for body in messages]
    for body, place in zip(messages, places, strict=True):
        await store(
            db,
            wired=wired,
            body=body,
            topic=None,
            dedup_id=place.dedup_id,
            now=now,
            keyring=keyring,
        )
    cursor = next((one.cursor for one in reversed(places) if one.cursor is not None), None)
    await db.execute(
        text("""
          UPDATE pull_stream SET cursor = coalesce(:cursor, cursor), pages = pages + :messages,
            last_error = NULL, began_at = coalesce(began_at, CAST(:now AS timestamptz)),
            ended_at = :now
          WHERE stream_id = :stream_id"""),
        {"cursor": cursor, "messages": len(messages), "now": now, "stream_id": live.stream_id},
    )


async def break_off(
    db: AsyncConnection,
    *,
    stream_id: int,
    failure: HubError | None,
    attempts: int,
    rests_seconds: int,
    now: datetime,
) -> None:
    """Note why a stream is not listened to, and leave it alone for a while.

    `attempts`: how often in a row it did not come to a message. `failure` None: it was left.
    """
    wait = timedelta(seconds=rests_seconds)
    if isinstance(failure, NotYet):
        doubled = FIRST_WAIT_SECONDS * 2 ** min(attempts, 10)
        again = failure.retry_after_seconds
        wait = timedelta(seconds=min(doubled, LONGEST_WAIT_SECONDS) if again is None else again)
    elif failure is not None:
        wait = timedelta(seconds=AFTER_A_REFUSAL_SECONDS)
    said = f"{failure.code}: {failure.message}"[:LONGEST_REASON] if failure else None
    await db.execute(
        text("UPDATE pull_stream SET last_error = :said, next_at = :next_at WHERE stream_id = :id"),
        {"said": said, "next_at": now + wait, "id": stream_id},
    )
