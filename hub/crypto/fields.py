"""Personal fields: each value encrypted under its account's data key, bound to its place.

Every account has a data key of its own, stored wrapped by the key-encryption key. Destroying that
one row makes every field of the account unreadable, in backups too; renewing the key-encryption
key re-wraps the data keys and touches no field.
"""

import secrets
from dataclasses import dataclass, field

from hub.crypto import envelope
from hub.crypto.keyring import KEY_BYTES, Keyring

# A data key is never renewed, only re-wrapped or destroyed, so its fields all carry version 1.
_DATA_KEY_VERSION = 1


@dataclass(frozen=True, slots=True)
class DataKey:
    """An account's own key, unwrapped. Keep it no longer than the work at hand."""

    key: bytes = field(repr=False)

    def encrypt(self, text: str, *, table: str, column: str, row: str) -> bytes:
        """Encrypt one field, bound to the place it is stored in."""
        return envelope.encrypt(
            self.key, _DATA_KEY_VERSION, text.encode(), f"{table}|{column}|{row}"
        )

    def decrypt(self, ciphertext: bytes, *, table: str, column: str, row: str) -> str:
        """Return one field's text; raises Undecipherable when it is not of this key and place."""
        return envelope.decrypt(self.key, ciphertext, f"{table}|{column}|{row}").decode()


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored: the envelope, and the key-encryption key's version beside it."""

    envelope: bytes
    kek_version: int


def mint(keyring: Keyring, *, account_id: int) -> tuple[DataKey, WrappedKey]:
    """Make a fresh data key for an account and wrap it for storage."""
    key = DataKey(secrets.token_bytes(KEY_BYTES))
    return key, _wrap(keyring, key, account_id)


def unwrap(keyring: Keyring, wrapped: bytes, *, account_id: int) -> DataKey:
    """Open a stored data key; raises KeyUnknown or Undecipherable."""
    return DataKey(keyring.wrapping.unwrap(wrapped, context=_place(account_id)))


def rewrap(keyring: Keyring, wrapped: bytes, *, account_id: int) -> WrappedKey:
    """Wrap the same data key under the active version."""
    return _wrap(keyring, unwrap(keyring, wrapped, account_id=account_id), account_id)


def _wrap(keyring: Keyring, key: DataKey, account_id: int) -> WrappedKey:
    wrapped = keyring.wrapping.wrap(key.key, context=_place(account_id))
    return WrappedKey(wrapped, envelope.key_version(wrapped))


def _place(account_id: int) -> str:
    return f"account_key|wrapped|{account_id}"
