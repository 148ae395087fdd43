"""Add a dispute message: either side, or the group's finance, says something of it."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Malformed
from hub.points.checks import named
from hub.settlement.disputes import LONGEST_MESSAGE, Message, keyed, lock_dispute


async def add_dispute_message(
    db: AsyncConnection,
    *,
    dispute_id: int,
    business_id: int | None,
    body: str,
    actor: str,
    idempotency_key: str,
    now: datetime,
) -> Message:
    """Keep what is said for `business_id`, or (None) for the group's finance. Twice is once.

    It may be said after the decision, too. Raises NotFound, also for a business that is no side
    of it; Malformed; Conflict when the key was used for another message.
    """
    named(actor)
    keyed(idempotency_key)
    if not 1 <= len(body.strip()) <= LONGEST_MESSAGE or not body.replace("\n", " ").isprintable():
        raise Malformed(f"a message has 1 to {LONGEST_MESSAGE} characters", field="body")
    await lock_dispute(db, dispute_id, business_id=business_id)
    facts = {"id": dispute_id, "business_id": business_id, "key": idempotency_key}
    await db.execute(
        text("""
          INSERT INTO dispute_message (dispute_id, business_id, actor, body, said_at,
            idempotency_key)
          VALUES (:id, :business_id, :actor, :body, :now, :key) ON CONFLICT DO NOTHING"""),
        {**facts, "actor": actor, "body": body, "now": now},
    )
    row = (
        await db.execute(
            text("""
              SELECT message_id, dispute_id, business_id, actor, body, said_at
              FROM dispute_message WHERE dispute_id = :id AND idempotency_key = :key
                AND business_id IS NOT DISTINCT FROM CAST(:business_id AS smallint)"""),
            facts,
        )
    ).one()
    made = Message(**row._asdict())
    if made.body != body:
        raise Conflict("the key was used before for another message", field="body")
    return made
