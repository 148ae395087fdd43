"""Replay: work on stored deliveries again, from their raw bodies. What was posted stays."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.queries import DeliveryFilter, meant
from hub.intake.store import PROCESS
from hub.outbox.messages import put


async def replay(
    db: AsyncConnection,
    *,
    now: datetime,
    delivery_ids: Sequence[int] = (),
    search: DeliveryFilter | None = None,
    business_id: int | None = None,
    most: int | None = None,
) -> int:
    """Make the named deliveries, and those that `search` means, pending again; returns how many.

    Snapshots fetched earlier are dropped: after a fix at the source the new ones count. What was
    shredded for a person's sake, or is older than bodies are kept, is left out; so is what is not
    of `business_id`, if that is said. `most`: the oldest so many, if it is said.
    """
    held, facts = ("false", {}) if search is None else meant(search)
    rows = await db.scalars(
        text(f"""
          WITH chosen AS (
            SELECT d.delivery_id FROM delivery d JOIN connection c USING (connection_id)
            WHERE d.state <> 'pending' AND d.shredded_at IS NULL
              AND c.business_id = coalesce(CAST(:of_business AS smallint), c.business_id)
              AND (d.delivery_id = ANY (CAST(:ids AS bigint[])) OR ({held}))
            ORDER BY d.delivery_id LIMIT CAST(:most AS bigint) FOR NO KEY UPDATE OF d)
          UPDATE delivery d SET state = 'pending', reason_code = NULL, reason = NULL,
            reason_field = NULL, finished_at = NULL, snapshots = NULL
          WHERE d.delivery_id IN (SELECT delivery_id FROM chosen)
          RETURNING d.delivery_id"""),  # noqa: S608 - constants of ours
        facts | {"ids": list(delivery_ids), "of_business": business_id, "most": most},
    )
    found = list(rows)
    if found:
        await put(db, actor=PROCESS, references=found, available_at=now)
    return len(found)
