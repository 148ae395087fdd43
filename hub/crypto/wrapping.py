"""What wraps data keys: the keyring's own key-encryption key, or a key management service."""

from dataclasses import dataclass
from typing import Protocol

from hub.crypto import envelope
from hub.crypto.master_keys import MasterKeys


class KeyWrapping(Protocol):
    """Wraps accounts' data keys under a key that it alone holds, in versions.

    A wrapped key carries the version that it was wrapped under (`envelope.key_version` reads it):
    what an older version wrapped is still opened. `context` names the account; what was
    wrapped for one must not open for another. Called once per account and batch, in the event loop:
    one that asks over the network keeps a cache of its own.
    """

    @property
    def active_version(self) -> int:
        """The version that wraps new keys."""
        ...

    def wrap(self, key: bytes, *, context: str) -> bytes:
        """Return `key` wrapped under the active version."""
        ...

    def unwrap(self, wrapped: bytes, *, context: str) -> bytes:
        """Return the key; raises KeyUnknown or Undecipherable."""
        ...


@dataclass(frozen=True, slots=True)
class LocalWrapping:
    """Wraps under the keyring's own key-encryption keys, by AES-256-GCM."""

    keys: MasterKeys

    @property
    def active_version(self) -> int:
        """The keyring's active version."""
        return self.keys.active

    def wrap(self, key: bytes, *, context: str) -> bytes:
        """Return `key` wrapped under the active version."""
        return envelope.encrypt(self.keys.current, self.keys.active, key, context)

    def unwrap(self, wrapped: bytes, *, context: str) -> bytes:
        """Return the key; raises KeyUnknown or Undecipherable."""
        key = self.keys.version(envelope.key_version(wrapped))
        return envelope.decrypt(key, wrapped, context)
