"""Short texts that the hub hands out and knows again: a few numbers, tagged under the token key.

    version of this format (1 byte) | key version (2) | body | tag (16)

Numbers are big-endian. The tag is HMAC-SHA256 over all before it, for one purpose, cut to 16 bytes;
all is in base64url.
"""

import base64
import binascii
import hmac
import struct
from hashlib import sha256

from hub.crypto.errors import KeyUnknown
from hub.crypto.keyring import Keyring

_FORMAT = 1
_TAG_BYTES = 16
_HEAD = struct.Struct(">BH")
_LONGEST = 200


def tagged(keyring: Keyring, body: bytes, *, purpose: bytes) -> str:
    """Return a body as text that `untagged` reads, for the same purpose alone."""
    keys = keyring.token
    told = _HEAD.pack(_FORMAT, keys.active) + body
    return _written(told + _tag(keys.current, told, purpose))


def untagged(keyring: Keyring, given: str, *, purpose: bytes) -> bytes | None:
    """Return the body of a text that this hub handed out for the purpose; None for any other."""
    try:
        raw = base64.b64decode(
            given[:_LONGEST] + "=" * (-len(given) % 4), altchars=b"-_", validate=True
        )
        told, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
        version, key_version = _HEAD.unpack_from(told)
        key = keyring.token.version(key_version)
    except (binascii.Error, struct.error, ValueError, KeyUnknown):
        return None
    genuine = hmac.compare_digest(tag, _tag(key, told, purpose))
    # The last letter has bits to spare: of the ways to write them only ours is known.
    if not genuine or version != _FORMAT or _written(raw) != given:
        return None
    return told[_HEAD.size :]


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _tag(key: bytes, told: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, purpose + b"\0" + told, sha256)[:_TAG_BYTES]
