"""The binary form of every ciphertext, and the one place that calls AES-256-GCM.

    version of this format (1 byte) | key version (2, big-endian) | nonce (12) | ciphertext and tag

The header and the caller's context are authenticated with the text (NIST SP 800-38D), so that a
ciphertext opens only where it was put. Random 96-bit nonces allow 2**32 texts under one key.
"""

import secrets
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.crypto.errors import Undecipherable

FORMAT = 1
NONCE_BYTES = 12
TAG_BYTES = 16
_HEADER = struct.Struct(">BH")


def encrypt(key: bytes, key_version: int, text: bytes, context: str) -> bytes:
    """Encrypt `text` under `key`, bound to `context`."""
    header = _HEADER.pack(FORMAT, key_version)
    nonce = secrets.token_bytes(NONCE_BYTES)
    return header + nonce + AESGCM(key).encrypt(nonce, text, header + context.encode())


def decrypt(key: bytes, envelope: bytes, context: str) -> bytes:
    """Return the text of `envelope`; raises Undecipherable unless key and context are its own."""
    key_version(envelope)
    header, body = envelope[: _HEADER.size], envelope[_HEADER.size :]
    nonce, ciphertext = body[:NONCE_BYTES], body[NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, header + context.encode())
    except InvalidTag:
        raise Undecipherable(
            f"the ciphertext of {context} was altered, moved or made under another key",
            context=context,
        ) from None


def key_version(envelope: bytes) -> int:
    """Return which version of its key `envelope` was made under; raises Undecipherable."""
    if len(envelope) < _HEADER.size + NONCE_BYTES + TAG_BYTES:
        raise Undecipherable(f"{len(envelope)} bytes are too few for a ciphertext")
    version_of_format, version_of_key = _HEADER.unpack_from(envelope)
    if version_of_format != FORMAT:
        raise Undecipherable(f"ciphertext format {version_of_format} is not known here")
    return int(version_of_key)
