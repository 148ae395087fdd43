"""Join codes: a member's number, signed and short-lived, to be shown as a QR code at a till.

The text is short (hub.crypto.tagged: member and end, 8 bytes each), so that the picture stays
coarse. It names a member and proves nothing else: whoever scans it opens an account for that
member, and cannot act as them.
"""

import struct
from datetime import datetime, timedelta

from hub.crypto.keyring import Keyring
from hub.crypto.tagged import tagged, untagged
from hub.errors import Malformed, Rejected

TTL = timedelta(minutes=5)
_BODY = struct.Struct(">QQ")
_PURPOSE = b"hub.join_code/1"


def issue(keyring: Keyring, *, member_id: int, now: datetime) -> tuple[str, datetime]:
    """Return a code for a member, and when it ends."""
    expires_at = now.replace(microsecond=0) + TTL
    body = _BODY.pack(member_id, int(expires_at.timestamp()))
    return tagged(keyring, body, purpose=_PURPOSE), expires_at


def read(keyring: Keyring, code: str, *, now: datetime) -> int:
    """Return whose code it is.

    Raises Malformed for what this hub did not issue, Rejected for a code whose time is over.
    """
    body = untagged(keyring, code.strip(), purpose=_PURPOSE)
    if body is None or len(body) != _BODY.size:
        raise Malformed("this is no join code of this group", field="code")
    member_id, expires = _BODY.unpack(body)
    if int(now.timestamp()) >= expires:
        raise Rejected("the join code's time is over: the member shows a new one")
    return int(member_id)
