"""Signatures that anybody can check: Ed25519 (RFC 8032) by the keyring's signing key."""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hub.crypto.keyring import Keyring

ALGORITHM = "Ed25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature (64 bytes), and the public key (32 bytes) and its version that it was made by."""

    key_version: int
    public_key: bytes
    signature: bytes


def sign(keyring: Keyring, message: bytes) -> Signature:
    """Sign `message` with the active key. The same key and message give the same signature."""
    key = Ed25519PrivateKey.from_private_bytes(keyring.signing.current)
    return Signature(
        key_version=keyring.signing.active,
        public_key=key.public_key().public_bytes_raw(),
        signature=key.sign(message),
    )


def public_keys(keyring: Keyring) -> dict[int, bytes]:
    """Return the public key of every version, as they may be published."""
    return {
        version: Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
        for version, key in sorted(keyring.signing.versions.items())
    }


def is_signed(message: bytes, *, signature: bytes, public_key: bytes) -> bool:
    """Say whether `signature` is that of `message` by the owner of `public_key`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
