"""The versions of one kind of master key, and which of them is active."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hub.crypto.errors import KeyUnknown
from hub.errors import Rejected

KEY_BYTES = 32
MAX_VERSION = 0xFFFF  # an envelope carries the version in two bytes


class Purpose(StrEnum):
    """What a master key is for; keys are never shared between purposes."""

    KEY_ENCRYPTION = "key_encryption"
    BLIND_INDEX = "blind_index"
    TOKEN = "token"  # noqa: S105  (a name, not a secret)
    AUDIT = "audit"
    SIGNING = "signing"


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """All versions of the keys of one purpose, and which of them is active."""

    purpose: Purpose
    active: int
    versions: Mapping[int, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.active not in self.versions:
            raise ValueError(f"active version {self.active} of {self.purpose} has no key")
        if not all(1 <= version <= MAX_VERSION for version in self.versions):
            raise ValueError(f"versions of {self.purpose} must lie between 1 and {MAX_VERSION}")
        if not all(len(key) == KEY_BYTES for key in self.versions.values()):
            raise ValueError(f"keys of {self.purpose} must be {KEY_BYTES} bytes long")

    @property
    def current(self) -> bytes:
        """The key that makes new things."""
        return self.versions[self.active]

    def version(self, number: int) -> bytes:
        """Return the key of a version; raises KeyUnknown naming it."""
        try:
            return self.versions[number]
        except KeyError:
            raise KeyUnknown(
                f"version {number} of the {self.purpose} key is not in the keyring: "
                "restore the keyring file that this database was written with",
                version=number,
            ) from None

    def added(self) -> "MasterKeys":
        """Return the same keys with one more version, which waits to become active."""
        newest = max(self.versions) + 1
        key = secrets.token_bytes(KEY_BYTES)
        return replace(self, versions={**self.versions, newest: key})

    def activated(self) -> "MasterKeys":
        """Return the same keys with the newest version active."""
        return replace(self, active=max(self.versions))

    def without(self, number: int) -> "MasterKeys":
        """Return the same keys without a version; raises KeyUnknown, and Rejected if it is needed.

        What is active makes new things, and what is newer waits to.
        """
        self.version(number)
        if number >= self.active:
            raise Rejected(
                f"version {number} of the {self.purpose} key is not an old one: version "
                f"{self.active} is active",
                field="version",
            )
        left = {held: key for held, key in self.versions.items() if held != number}
        return replace(self, versions=left)

    def renewed(self) -> "MasterKeys":
        """Return the same keys with one more version, which is active."""
        return self.added().activated()
