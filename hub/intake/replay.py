"""Replay: work on stored deliveries again, from their raw bodies. What was posted stays."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.accept import PROCESS
from hub.outbox.messages import put


async def replay(
    db: AsyncConnection,
    *,
    now: datetime,
    delivery_ids: Sequence[int] = (),
    dead: bool = False,
) -> int:
    """Make the named deliveries (or all dead letters) pending again; returns how many.

    Snapshots fetched earlier are dropped: after a fix at the source the new ones count. What was
    shredded for a person's sake is left out.
    """
    rows = await db.scalars(
        text("""
          UPDATE delivery SET state = 'pending', reason_code = NULL, reason = NULL,
            reason_field = NULL, finished_at = NULL, snapshots = NULL
          WHERE state <> 'pending' AND shredded_at IS NULL
            AND (delivery_id = ANY(CAST(:ids AS bigint[])) OR (:dead AND state = 'dead'))
          RETURNING delivery_id"""),
        {"ids": list(delivery_ids), "dead": dead},
    )
    found = list(rows)
    if found:
        await put(db, actor=PROCESS, references=found, available_at=now)
    return len(found)
