"""Served numbers: what a system at a till calls a member by, once the hub has told it who they are.

    version of this format (1 byte) | key version (2) | member (8) | tag (16)

Big-endian, in base64url behind a mark by which they are known. The tag is HMAC-SHA256 under the
key of the blind indexes over all before it and the connection, cut to 16 bytes: a number that the
hub has not given to this very connection is nobody's. It says nothing of who the person is.
"""

import base64
import binascii
import hmac
import struct
from hashlib import sha256

from hub.crypto.errors import KeyUnknown
from hub.crypto.keyring import Keyring

MARK = "hub-"
_FORMAT = 1
_TAG_BYTES = 16
_BODY = struct.Struct(">BHQ")
_LONGEST = 100


def issue(keyring: Keyring, *, member_id: int, connection: str) -> str:
    """Return the number by which a connection's system may call a member."""
    keys = keyring.blind_index
    body = _BODY.pack(_FORMAT, keys.active, member_id)
    return _written(body + _tag(keys.current, body, connection))


def is_served(number: str) -> bool:
    """Say whether a number pretends to be one of these; no card bears such a one."""
    return number.startswith(MARK)


def read(keyring: Keyring, number: str, *, connection: str) -> int | None:
    """Return whose number it is; None for one that the hub did not give to this connection."""
    try:
        raw = base64.b64decode(
            number[len(MARK) : _LONGEST].encode("ascii"), altchars=b"-_", validate=True
        )
        body, tag = raw[: _BODY.size], raw[_BODY.size :]
        version, key_version, member_id = _BODY.unpack(body)
        key = keyring.blind_index.version(key_version)
    except (binascii.Error, struct.error, ValueError, KeyUnknown):
        return None
    genuine = hmac.compare_digest(tag, _tag(key, body, connection))
    return int(member_id) if genuine and version == _FORMAT and is_served(number) else None


def _written(raw: bytes) -> str:
    return MARK + base64.urlsafe_b64encode(raw).decode()


def _tag(key: bytes, body: bytes, connection: str) -> bytes:
    text = b"hub.served_number/1\0" + body + connection.encode()
    return hmac.digest(key, text, sha256)[:_TAG_BYTES]
