"""Device tokens: that somebody signed in on a device with a code to one phone or mailbox.

It signs nobody in, and says neither whose the phone is nor its number: it keeps strangers, who ask
for codes to that phone, from using up those that this device may ask for.
"""

import secrets
import struct
from collections.abc import Sequence
from datetime import datetime, timedelta

from hub.crypto.keyring import Keyring
from hub.crypto.tagged import tagged, untagged

TTL = timedelta(days=400)
_BODY = struct.Struct(">QB16s8s")
_PURPOSE = b"hub.device_token/1"
_DEVICE_BYTES = 8


def issue(keyring: Keyring, *, kind: int, digest: bytes, now: datetime) -> str:
    """Return a token for a device on which a code to this identifier was right."""
    ends = int((now + TTL).timestamp())
    body = _BODY.pack(ends, kind, digest, secrets.token_bytes(_DEVICE_BYTES))
    return tagged(keyring, body, purpose=_PURPOSE)


def read(
    keyring: Keyring, token: str, *, kind: int, digests: Sequence[bytes], now: datetime
) -> str | None:
    """Return the device, if the token is ours, of this identifier and not too old; else None."""
    body = untagged(keyring, token, purpose=_PURPOSE)
    if body is None or len(body) != _BODY.size:
        return None
    ends, of, digest, device = _BODY.unpack(body)
    known = of == kind and digest in digests and int(now.timestamp()) < ends
    return device.hex() if known else None
