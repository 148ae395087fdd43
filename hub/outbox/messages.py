"""Messages that live in PostgreSQL from the transaction that causes them until their work commits.

put → relay sends their ids to the broker → a worker takes them, does the work and deletes them in
one transaction. The broker carries wake-ups only: what it loses, the sweep sends again; what it
delivers twice finds no message the second time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MAX_ATTEMPTS = 8
# What is only away is waited for: at an hour between attempts, most of a day.
MAX_ATTEMPTS_AWAY = 24
_BACKOFF_SECONDS = (1, 5, 15, 60, 300, 900, 3600)


@dataclass(frozen=True, slots=True)
class Message:
    """Work to be done by `actor` on the row that `reference` names."""

    message_id: int
    actor: str
    reference: int
    attempts: int


async def put(
    db: AsyncConnection, *, actor: str, references: Sequence[int], available_at: datetime
) -> None:
    """Ask `actor` to work on `references` once this transaction commits, from `available_at`."""
    await db.execute(
        text("""
          INSERT INTO outbox_message (actor, reference, available_at)
          SELECT :actor, r, :available_at FROM unnest(CAST(:references AS bigint[])) AS r"""),
        {"actor": actor, "references": list(references), "available_at": available_at},
    )


async def claim(
    db: AsyncConnection,
    *,
    now: datetime,
    limit: int,
    busy: Collection[str] = (),
    enough: int = 1,
) -> list[Message]:
    """Mark up to `limit` due messages as sent and return them; the caller sends, then commits.

    For an actor that is `busy` nothing is claimed unless `enough` is due. Two relays never claim
    the same message. A relay that dies before its commit leaves its messages unsent: they may
    reach the broker twice, never not at all.
    """
    rows = await db.execute(
        text("""
          WITH due AS MATERIALIZED (
            SELECT message_id, actor FROM outbox_message
            WHERE sent_at IS NULL AND dead_at IS NULL AND available_at <= :now
            ORDER BY available_at, message_id LIMIT :limit FOR UPDATE SKIP LOCKED
          ), ready AS (
            SELECT actor FROM due GROUP BY actor
            HAVING actor <> ALL (CAST(:busy AS text[])) OR count(*) >= :enough
          )
          UPDATE outbox_message m SET sent_at = :now
          FROM due JOIN ready USING (actor) WHERE m.message_id = due.message_id
          RETURNING m.message_id, m.actor, m.reference, m.attempts"""),
        {"now": now, "limit": limit, "busy": list(busy), "enough": enough},
    )
    return sorted((Message(*row) for row in rows), key=lambda message: message.message_id)


async def under_way(db: AsyncConnection, message_ids: Sequence[int]) -> set[int]:
    """Return which of these messages were sent and are not done, dead or postponed."""
    rows = await db.scalars(
        text("""
          SELECT message_id FROM outbox_message
          WHERE message_id = ANY(CAST(:ids AS bigint[])) AND sent_at IS NOT NULL"""),
        {"ids": list(message_ids)},
    )
    return set(rows)


async def take(db: AsyncConnection, message_ids: Sequence[int]) -> list[Message]:
    """Lock the messages that are still to be worked on, and delete them with this transaction.

    Whoever else holds one is waited for; if that one committed, the message is gone and left out.
    """
    rows = await db.execute(
        text("""
          WITH mine AS MATERIALIZED (
            SELECT message_id FROM outbox_message
            WHERE message_id = ANY(CAST(:ids AS bigint[]))
            ORDER BY message_id FOR UPDATE)
          DELETE FROM outbox_message m USING mine WHERE m.message_id = mine.message_id
          RETURNING m.message_id, m.actor, m.reference, m.attempts"""),
        {"ids": list(message_ids)},
    )
    return sorted((Message(*row) for row in rows), key=lambda message: message.message_id)


async def peek(db: AsyncConnection, message_ids: Sequence[int]) -> list[Message]:
    """Return the messages that are still to be worked on, without locking them."""
    rows = await db.execute(
        text("""
          SELECT message_id, actor, reference, attempts FROM outbox_message
          WHERE message_id = ANY(CAST(:ids AS bigint[])) ORDER BY message_id"""),
        {"ids": list(message_ids)},
    )
    return [Message(*row) for row in rows]


async def fail(
    db: AsyncConnection,
    *,
    message_id: int,
    error: str,
    now: datetime,
    permanent: bool = False,
    away: bool = False,
    retry_after_seconds: float | None = None,
    at_least_seconds: float = 0,
) -> bool:
    """Record a failed attempt and schedule the next, `at_least_seconds` from now.

    After MAX_ATTEMPTS (MAX_ATTEMPTS_AWAY when what it needs is only `away`), or at once when the
    failure is `permanent`, the message is dead. A stated `retry_after_seconds` (the upstream asked
    for patience) replaces the backoff and does not count as an attempt. Returns whether the
    message died.
    """
    attempts = await db.scalar(
        text("SELECT attempts FROM outbox_message WHERE message_id = :id FOR UPDATE"),
        {"id": message_id},
    )
    if attempts is None:
        return False
    counted = attempts if retry_after_seconds is not None else attempts + 1
    died: bool = permanent or counted >= (MAX_ATTEMPTS_AWAY if away else MAX_ATTEMPTS)
    wait = retry_after_seconds
    if wait is None:
        wait = _BACKOFF_SECONDS[min(attempts, len(_BACKOFF_SECONDS) - 1)]
    await db.execute(
        text("""
          UPDATE outbox_message SET attempts = :attempts, last_error = :error, sent_at = NULL,
            available_at = :next, dead_at = :dead_at WHERE message_id = :id"""),
        {
            "id": message_id,
            "attempts": counted,
            "error": error[:1000],
            "next": now + timedelta(seconds=max(wait, at_least_seconds)),
            "dead_at": now if died else None,
        },
    )
    return died


async def forget_dead(db: AsyncConnection, *, actor: str, reference: int) -> None:
    """Delete what died of this work: it is about to be asked for anew."""
    await db.execute(
        text("""
          DELETE FROM outbox_message
          WHERE actor = :actor AND reference = :reference AND dead_at IS NOT NULL"""),
        {"actor": actor, "reference": reference},
    )


async def last_error(db: AsyncConnection, *, actor: str, reference: int) -> str | None:
    """Return why the newest message for this work last failed, or None when it did not."""
    error: str | None = await db.scalar(
        text("""
          SELECT last_error FROM outbox_message WHERE actor = :actor AND reference = :reference
          ORDER BY message_id DESC LIMIT 1"""),
        {"actor": actor, "reference": reference},
    )
    return error


async def sweep(db: AsyncConnection, *, now: datetime, lease_seconds: int) -> int:
    """Make messages that were sent `lease_seconds` ago and not worked on due again.

    Returns how many. One that is only slow is worked on twice and has its effect once.
    """
    result = await db.execute(
        text("""
          UPDATE outbox_message SET sent_at = NULL WHERE message_id IN (
            SELECT message_id FROM outbox_message
            WHERE sent_at < :overdue AND dead_at IS NULL FOR UPDATE SKIP LOCKED)"""),
        {"overdue": now - timedelta(seconds=lease_seconds)},
    )
    return result.rowcount
