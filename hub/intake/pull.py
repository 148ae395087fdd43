"""Pull: ask a system for what happened, page by page. What is found takes the way of deliveries."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import NotYet, Page, Pulling
from hub.crypto.keyring import Keyring
from hub.errors import HubError, Malformed
from hub.intake.client import Upstreams
from hub.intake.connections import Switchboard, Wired
from hub.intake.store import store

DAILY = timedelta(days=1)
# What has just happened may still be on its way as a webhook: it would be taken for lost.
SETTLES_WITHIN = timedelta(minutes=10)
# What changed while the last pull was reading may stand before its end or after.
OVERLAP = timedelta(hours=1)
AGAIN = timedelta(minutes=10)
LONGEST_REASON = 500

_TAKE = text("""
SELECT stream_id, connection_id, stream, cursor, since, backfilling, began_at, last_error
FROM pull_stream
WHERE stream_id = :stream_id FOR UPDATE SKIP LOCKED
""")
_GO_ON = text("""
UPDATE pull_stream SET cursor = :cursor, pages = pages + :pages, last_error = NULL,
  began_at = coalesce(began_at, CAST(:now AS timestamptz))
WHERE stream_id = :stream_id
""")
_END = text("""
UPDATE pull_stream SET cursor = :cursor, pages = pages + :pages, last_error = NULL,
  since = :since, backfilling = false, began_at = NULL, ended_at = :now, next_at = :next_at
WHERE stream_id = :stream_id
""")
_STOP = text("""
UPDATE pull_stream SET last_error = :error, next_at = :next_at WHERE stream_id = :stream_id
""")
# The second time in a row a place in the middle is taken for lost: systems forget them after a
# while. From its beginning the pull finds again what it found, and posts nothing twice.
_BEGIN_ANEW = text("""
UPDATE pull_stream SET last_error = :error, next_at = :next_at, cursor = NULL, began_at = NULL
WHERE stream_id = :stream_id
""")
_LOST = frozenset({400, 404, 410, 422})


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one step did: the delivery that holds the page, if any; whether to go on at once."""

    delivery_id: int | None
    go_on: bool


async def pull(
    db: AsyncConnection,
    *,
    stream_id: int,
    switchboard: Switchboard,
    upstreams: Upstreams,
    now: datetime,
    keyring: Keyring,
) -> Pulled:
    """Pull one page of a stream and store it with the cursor of the next; the caller commits.

    Nobody else pulls the stream meanwhile: whoever tries is told that there is nothing to do. A
    page and the cursor behind it are one commit, so that a crash neither loses nor skips a page;
    of a queue that forgets what it gives, no second page is asked for before the first is safe.
    What the system refuses or cannot give now is kept as the stream's `last_error`, and it is
    asked again later; twice refused, the pull begins anew.
    """
    row = (await db.execute(_TAKE, {"stream_id": stream_id})).first()
    if row is None:
        return Pulled(None, go_on=False)
    wired = await switchboard.by_id(db, row.connection_id, now=now)
    until = now - SETTLES_WITHIN
    try:
        page = await _dialect(wired).pull(
            upstreams.of(wired),
            row.stream,
            row.cursor,
            wired.plug,
            since=row.since,
            until=max(until, row.since),
        )
        _require_progress(wired, row, page)
    except HubError as failure:
        wait = failure.retry_after_seconds if isinstance(failure, NotYet) else None
        again = now + (AGAIN if wait is None else timedelta(seconds=wait))
        said = f"{failure.code}: {failure.message}"[:LONGEST_REASON]
        lost = _is_lost(failure) and row.cursor is not None and row.last_error is not None
        await db.execute(
            _BEGIN_ANEW if lost else _STOP,
            {"stream_id": stream_id, "error": said, "next_at": again},
        )
        return Pulled(None, go_on=False)
    delivery_id = None
    if page.body is not None:
        delivery_id = await store(
            db,
            wired=wired,
            body=page.body,
            topic=page.topic,
            origin=_origin(wired, row),
            stream_id=stream_id,
            now=now,
            keyring=keyring,
        )
    went = {"stream_id": stream_id, "cursor": page.cursor, "pages": page.body is not None}
    if page.done:
        since = max((row.began_at or now) - SETTLES_WITHIN - OVERLAP, row.since)
        polled = wired.connector.spec.poll_seconds
        after = DAILY if polled is None else timedelta(seconds=polled)
        await db.execute(_END, {**went, "since": since, "now": now, "next_at": now + after})
    else:
        await db.execute(_GO_ON, {**went, "now": now})
    return Pulled(delivery_id, go_on=not page.done)


def _dialect(wired: Wired) -> Pulling:
    if not isinstance(wired.connector, Pulling):
        raise Malformed(f"{wired.connector.spec.title} cannot be asked", field="connector")
    return wired.connector


def _require_progress(wired: Wired, row: Any, page: Page) -> None:
    """Raise Malformed where the next page is this one again: it would be pulled for ever.

    A queue that forgets what it gives needs no place to go on from.
    """
    stands_still = page.cursor is not None and page.cursor == row.cursor
    if stands_still and not page.done and wired.connector.spec.poll_seconds is None:
        raise Malformed("the next page is this page again", field="cursor")


def _is_lost(failure: HubError) -> bool:
    facts = failure.facts if isinstance(failure, Malformed) else {}
    return facts.get("field") == "cursor" or facts.get("status") in _LOST


def _origin(wired: Wired, row: Any) -> str:
    if wired.connector.spec.poll_seconds is not None:
        return "queue"
    return "backfill" if row.backfilling else "reconcile"
