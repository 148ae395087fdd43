"""Accept: prove a delivery authentic and store it, before anything is made of it."""

import hashlib
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Inbound
from hub.crypto.delivery import seal
from hub.crypto.keyring import Keyring
from hub.intake.connections import Wired

PROCESS = "intake.process"
BODY_CONTEXT = "delivery|body"

# The delivery and the message that asks for its work are one statement, hence one commit.
_STORE = text("""
WITH stored AS (
  INSERT INTO delivery (connection_id, dedup_id, topic, body, body_sha256, received_at)
  VALUES (:connection_id, :dedup_id, :topic, :body, :digest, :now) RETURNING delivery_id)
INSERT INTO outbox_message (actor, reference, available_at)
SELECT :actor, delivery_id, :now FROM stored RETURNING reference
""")


async def accept(
    db: AsyncConnection, *, wired: Wired, inbound: Inbound, now: datetime, keyring: Keyring
) -> int:
    """Store an authentic delivery and ask for its work; returns its id.

    Raises SignatureInvalid, having stored nothing. A body that makes no sense is stored all the
    same: its sender could not mend it, and a dead letter will name the field.
    """
    delivery = wired.connector.verify(inbound, wired.plug, now)
    delivery_id: int | None = await db.scalar(
        _STORE,
        {
            "connection_id": wired.connection_id,
            "dedup_id": delivery.dedup_id,
            "topic": delivery.topic,
            "body": seal(keyring, inbound.body, context=f"{BODY_CONTEXT}|{wired.code}"),
            "digest": hashlib.sha256(inbound.body).digest(),
            "now": now,
            "actor": PROCESS,
        },
    )
    if delivery_id is None:
        raise RuntimeError("the delivery was not stored")
    return delivery_id
