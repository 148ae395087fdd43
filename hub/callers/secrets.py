"""Secrets that the hub hands out and knows again by their hash alone. Pure.

A secret has 256 random bits: nobody finds it by trying, so SHA-256 is enough. A slow hash, a salt
or a key would protect what people choose, and a key would end every client when it is renewed.
"""

import secrets
from hashlib import sha256

LONGEST = 200


def make(mark: str) -> str:
    """Return a new secret. The mark in front lets scanners of repositories know it."""
    return f"{mark}{secrets.token_urlsafe(32)}"


def digest(secret: str) -> bytes:
    """Return what is kept of a secret (32 bytes)."""
    return sha256(b"hub.callers.secret/1\0" + secret.encode()).digest()
