"""Unpin: let the rules choose again what is shown of a member's attribute."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.pin_attribute import INSERT, LATEST, known_attribute, lock_member
from hub.members.wording import LONGEST_ACTOR, checked


async def unpin_attribute(
    db: AsyncConnection, *, member_id: int, attribute: str, actor: str, reason: str, now: datetime
) -> int:
    """End the pin of a member's attribute; where there is none, nothing happens.

    It ends it for the account that the pin is kept with and, as the latest word, for the member as
    long as they are one. Returns the member it was. Raises NotFound for an unknown or erased
    member, Malformed for words that say nothing.
    """
    checked(reason, field="reason")
    checked(actor, field="actor", longest=LONGEST_ACTOR)
    known_attribute(attribute)
    member_id = await lock_member(db, member_id)
    found = await db.execute(LATEST, {"member_id": member_id, "attribute": attribute})
    latest = found.first()
    if latest is not None and latest.shows != "none":
        await db.execute(
            INSERT,
            {
                "account_id": latest.account_id,
                "attribute": attribute,
                "shows": "none",
                "ciphertext": None,
                "actor": actor,
                "reason": reason,
                "now": now,
            },
        )
    return member_id
