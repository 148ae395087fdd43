"""Accept: prove a delivery authentic and store it, before anything is made of it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Inbound
from hub.crypto.keyring import Keyring
from hub.intake.connections import Wired
from hub.intake.store import store


async def accept(
    db: AsyncConnection, *, wired: Wired, inbound: Inbound, now: datetime, keyring: Keyring
) -> int:
    """Store an authentic delivery and ask for its work; returns its id.

    Raises SignatureInvalid, having stored nothing. A body that makes no sense is stored all the
    same: its sender could not mend it, and a dead letter will name the field.
    """
    delivery = wired.connector.verify(inbound, wired.plug, now)
    return await store(
        db,
        wired=wired,
        body=inbound.body,
        topic=delivery.topic,
        dedup_id=delivery.dedup_id,
        now=now,
        keyring=keyring,
    )
