"""Store: keep a body as it came, and ask for its work. One statement, hence one commit."""

import hashlib
from datetime import datetime

from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.delivery import seal
from hub.crypto.keyring import Keyring
from hub.intake.connections import Wired
from hub.intake.scrub import scrub

PROCESS = "intake.process"
BODY_CONTEXT = "delivery|body"
MOST_CARD_NUMBERS = 32767

CUT = Counter(
    "hub_card_numbers_cut_total",
    "Card numbers cut from bodies before they were stored",
    ["connection"],
)

_STORE = text("""
WITH stored AS (
  INSERT INTO delivery (connection_id, dedup_id, topic, body, body_sha256, received_at, origin,
    stream_id, card_numbers)
  VALUES (:connection_id, :dedup_id, :topic, :body, :digest, :now, :origin, :stream_id,
    :card_numbers)
  RETURNING delivery_id)
INSERT INTO outbox_message (actor, reference, available_at)
SELECT :actor, delivery_id, :now FROM stored RETURNING reference
""")


async def store(
    db: AsyncConnection,
    *,
    wired: Wired,
    body: bytes,
    topic: str | None,
    dedup_id: str | None = None,
    origin: str = "push",
    stream_id: int | None = None,
    now: datetime,
    keyring: Keyring,
) -> int:
    """Store a body, sealed and without card numbers, and ask for its work; returns its id."""
    clean, card_numbers = scrub(body)
    if card_numbers:
        CUT.labels(wired.code).inc(card_numbers)
    delivery_id: int | None = await db.scalar(
        _STORE,
        {
            "connection_id": wired.connection_id,
            "dedup_id": dedup_id,
            "topic": topic,
            "body": seal(keyring, clean, context=f"{BODY_CONTEXT}|{wired.code}"),
            "digest": hashlib.sha256(clean).digest(),
            "now": now,
            "actor": PROCESS,
            "origin": origin,
            "stream_id": stream_id,
            "card_numbers": min(card_numbers, MOST_CARD_NUMBERS),
        },
    )
    if delivery_id is None:
        raise RuntimeError("the delivery was not stored")
    return delivery_id
