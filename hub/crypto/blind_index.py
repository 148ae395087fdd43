"""Blind indexes: identifiers that can be looked up without being stored.

HMAC-SHA256 under a secret key, so that a copy of the database cannot be searched by trying every
phone number; cut to 16 bytes, where two of a billion values still collide with chance 10**-21.
The kind of identifier is part of what is hashed: one text as a phone and as a card number yields
two unrelated indexes.
"""

import hmac
from hashlib import sha256
from typing import NamedTuple

from hub.crypto.keyring import Keyring

INDEX_BYTES = 16


class BlindIndex(NamedTuple):
    """An index and the version of the key that made it."""

    digest: bytes
    key_version: int


def blind_index(keyring: Keyring, kind: str, value: str) -> BlindIndex:
    """Return the index of a normalised value under the active key: what is stored."""
    keys = keyring.blind_index
    return BlindIndex(_digest(keys.current, kind, value), keys.active)


def blind_indexes(keyring: Keyring, kind: str, value: str) -> list[BlindIndex]:
    """Return the value's index under every version held, active first: what is looked up.

    While an index is being moved to a new key, a value may be stored under either version.
    """
    keys = keyring.blind_index
    versions = sorted(keys.versions, key=lambda version: version != keys.active)
    return [
        BlindIndex(_digest(keys.version(version), kind, value), version) for version in versions
    ]


def _digest(key: bytes, kind: str, value: str) -> bytes:
    # The separator cannot occur in a kind, so no two pairs hash the same text.
    text = f"hub.blind_index/1\0{kind}\0{value}".encode()
    return hmac.digest(key, text, sha256)[:INDEX_BYTES]
