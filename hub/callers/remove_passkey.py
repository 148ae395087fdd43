"""Remove a passkey: a device is lost, or another's by now."""

import base64
import binascii

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.session_queries import OWN
from hub.errors import NotFound

_LONGEST = 1400


async def remove_passkey(db: AsyncConnection, *, member_id: int, passkey: str) -> None:
    """Remove a member's passkey by its id, for good; raises NotFound.

    Sessions that it began go on: end them as well where the device is in others' hands.
    """
    try:
        padded = passkey[:_LONGEST] + "=" * (-len(passkey) % 4)
        credential_id = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        credential_id = b""
    gone = await db.execute(
        text(f"DELETE FROM passkey WHERE credential_id = :id AND {OWN}"),  # noqa: S608
        {"id": credential_id, "member_id": member_id},
    )
    if gone.rowcount == 0:
        raise NotFound("the member has no such passkey", field="passkey")
