"""Replay: tell a subscriber again. The event's id stays, so that who has it knows."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.egress.queries import MEANT
from hub.outbox.messages import put

SEND = "egress.send"


async def replay(
    db: AsyncConnection,
    *,
    now: datetime,
    event_delivery_ids: Sequence[int] = (),
    subscription: str | None = None,
    since: datetime | None = None,
    dead_only: bool = True,
    business_id: int | None = None,
    most: int | None = None,
) -> int:
    """Send again the named deliveries and those of a subscription since then; returns how many.

    `dead_only`: of the subscription's, only what was given up. `most`: the oldest so many, if it is
    said. What is under way is left to it, and what is of a stopped subscription is passed over
    (hub.egress.queries.passed_over tells). Where `business_id` is said, others' are left alone.
    """
    rows = await db.scalars(
        text(f"""
          WITH chosen AS (
            SELECT d.event_delivery_id FROM event_delivery d JOIN subscription s
              USING (subscription_id)
            WHERE d.state <> 'pending' AND s.active
              AND s.business_id = coalesce(CAST(:business_id AS smallint), s.business_id)
              AND {MEANT}
            ORDER BY d.event_delivery_id LIMIT CAST(:most AS bigint) FOR NO KEY UPDATE OF d)
          UPDATE event_delivery d SET state = 'pending', ended_at = NULL, error = NULL
          WHERE d.event_delivery_id IN (SELECT event_delivery_id FROM chosen)
          RETURNING d.event_delivery_id"""),  # noqa: S608 - a constant of ours
        {
            "ids": list(event_delivery_ids),
            "subscription": subscription,
            "since": since,
            "dead_only": dead_only,
            "business_id": business_id,
            "most": most,
        },
    )
    found = sorted(rows)
    if found:
        await put(db, actor=SEND, references=found, available_at=now)
    return len(found)
