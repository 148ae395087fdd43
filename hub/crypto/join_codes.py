"""Join codes: a member's number, signed and short-lived, to be shown as a QR code at a till.

    version of this format (1 byte) | key version (2) | member (8) | expires (8) | tag (16)

Numbers are big-endian. The tag is HMAC-SHA256 under the keyring's token key over all before it, cut
to 16 bytes; all is in base64url, so that the picture stays coarse. The code names a member and
proves nothing else: whoever scans it opens an account for that member, and cannot act as them.
"""

import base64
import binascii
import hmac
import struct
from datetime import datetime, timedelta
from hashlib import sha256

from hub.crypto.errors import KeyUnknown
from hub.crypto.keyring import Keyring
from hub.errors import Malformed, Rejected

TTL = timedelta(minutes=5)
_FORMAT = 1
_TAG_BYTES = 16
_BODY = struct.Struct(">BHQQ")
_LONGEST = 100


def issue(keyring: Keyring, *, member_id: int, now: datetime) -> tuple[str, datetime]:
    """Return a code for a member, and when it ends."""
    expires_at = now.replace(microsecond=0) + TTL
    keys = keyring.token
    body = _BODY.pack(_FORMAT, keys.active, member_id, int(expires_at.timestamp()))
    return _written(body + _tag(keys.current, body)), expires_at


def read(keyring: Keyring, code: str, *, now: datetime) -> int:
    """Return whose code it is.

    Raises Malformed for what this hub did not issue, Rejected for a code whose time is over.
    """
    scanned = code.strip()
    try:
        raw = base64.b64decode(
            scanned[:_LONGEST] + "=" * (-len(scanned) % 4), altchars=b"-_", validate=True
        )
        body, tag = raw[: _BODY.size], raw[_BODY.size :]
        version, key_version, member_id, expires = _BODY.unpack(body)
        genuine = hmac.compare_digest(tag, _tag(keyring.token.version(key_version), body))
    except (binascii.Error, struct.error, ValueError, KeyUnknown):
        genuine = False
    # The last letter has bits to spare: of the ways to write them only ours is a code.
    if not genuine or version != _FORMAT or _written(raw) != scanned:
        raise Malformed("this is no join code of this group", field="code")
    if int(now.timestamp()) >= expires:
        raise Rejected("the join code's time is over: the member shows a new one")
    return int(member_id)


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _tag(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"hub.join_code/1\0" + body, sha256)[:_TAG_BYTES]
