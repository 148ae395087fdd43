"""The chain of read audits: how a row is hashed onto the one before it, and the head signed. Pure.

Each hash is an HMAC-SHA256 under the audit key, over every column of the row and the hash before
it: without the keyring, which is not in the database, no row can be made, changed or put elsewhere.
That the chain is whole to its end is said by the head's signature, which no row repeats.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import orjson

from hub.crypto.keyring import Keyring

START = b""
"""What stands for the hash before the first row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """That somebody was shown an attribute of a member in full."""

    member_id: int
    attribute: str
    subject: str
    role: str
    read_at: datetime


def row_hash(keyring: Keyring, read: Read, *, seq: int, key_version: int, previous: bytes) -> bytes:
    """Return the hash of row `seq`; raises KeyUnknown for a version that is not at hand."""
    facts = [
        seq,
        read.member_id,
        read.read_at.astimezone(UTC).isoformat(),
        key_version,
        read.subject,
        read.role,
        read.attribute,
        previous.hex(),
    ]
    return _mac(keyring, b"hub.audit.row/1\0", facts, key_version)


def signature(keyring: Keyring, *, seq: int, hash_: bytes, key_version: int) -> bytes:
    """Return what proves that the chain once ended with row `seq` and its hash."""
    return _mac(keyring, b"hub.audit.head/1\0", [seq, hash_.hex(), key_version], key_version)


def _mac(keyring: Keyring, what: bytes, facts: list[object], key_version: int) -> bytes:
    key = keyring.audit.version(key_version)
    return hmac.digest(key, what + orjson.dumps(facts), sha256)
