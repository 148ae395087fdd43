"""Replay: work on stored deliveries again, from their raw bodies. What was posted stays."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.queries import MATCHES, Search
from hub.intake.store import PROCESS
from hub.outbox.messages import put


async def replay(
    db: AsyncConnection,
    *,
    now: datetime,
    delivery_ids: Sequence[int] = (),
    search: Search | None = None,
) -> int:
    """Make the named deliveries, and those that `search` means, pending again; returns how many.

    Snapshots fetched earlier are dropped: after a fix at the source the new ones count. What was
    shredded for a person's sake, or is older than bodies are kept, is left out.
    """
    rows = await db.scalars(
        text(f"""
          UPDATE delivery SET state = 'pending', reason_code = NULL, reason = NULL,
            reason_field = NULL, finished_at = NULL, snapshots = NULL
          WHERE state <> 'pending' AND shredded_at IS NULL
            AND (delivery_id = ANY(CAST(:ids AS bigint[])) OR (:searching AND delivery_id IN (
              SELECT d.delivery_id FROM delivery d JOIN connection c USING (connection_id)
              WHERE {MATCHES})))
          RETURNING delivery_id"""),  # noqa: S608 - a constant of ours
        {
            **asdict(search or Search()),
            "ids": list(delivery_ids),
            "searching": search is not None,
        },
    )
    found = list(rows)
    if found:
        await put(db, actor=PROCESS, references=found, available_at=now)
    return len(found)
