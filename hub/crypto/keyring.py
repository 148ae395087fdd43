"""The master keys: one JSON file, readable by its owner only, every key versioned.

Four kinds of key live in it. A *key-encryption* key wraps data keys and seals raw deliveries; a
*blind-index* key makes identifiers findable; the *token* key signs access tokens; the *audit* key
proves who read what. Of each kind the active version makes new things; older versions stay to read
what they made, and a newer one may wait to become active until every process knows it. Whoever
loses this file loses every personal field for good: back it up apart from the database.
"""

import base64
import binascii
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hub.crypto.errors import KeyringCorrupt, KeyringExposed, KeyringMissing, KeyUnknown
from hub.errors import Rejected

FORMAT = 1
KEY_BYTES = 32
MAX_VERSION = 0xFFFF  # an envelope carries the version in two bytes


class Purpose(StrEnum):
    """What a master key is for; keys are never shared between purposes."""

    KEY_ENCRYPTION = "key_encryption"
    BLIND_INDEX = "blind_index"
    TOKEN = "token"  # noqa: S105  (a name, not a secret)
    AUDIT = "audit"


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


@dataclass(frozen=True, slots=True)
class Keyring:
    """The master keys of one installation. Its repr shows no key."""

    key_encryption: MasterKeys
    blind_index: MasterKeys
    token: MasterKeys
    audit: MasterKeys

    @classmethod
    def generate(cls) -> "Keyring":
        """Make a keyring of fresh random keys, each in version 1."""
        return cls(
            **{
                purpose.value: MasterKeys(purpose, 1, {1: secrets.token_bytes(KEY_BYTES)})
                for purpose in Purpose
            }
        )

    def token_key(self) -> bytes:
        """Return the key that signs access tokens now (32 bytes)."""
        return self.token.current

    def renewed(self, purpose: Purpose) -> "Keyring":
        """Return this keyring with a new active version for one purpose; the old ones stay."""
        return self.with_keys(self.keys(purpose).renewed())

    def keys(self, purpose: Purpose) -> MasterKeys:
        """Return the keys of one purpose."""
        keys: MasterKeys = getattr(self, purpose.value)
        return keys

    def with_keys(self, keys: MasterKeys) -> "Keyring":
        """Return this keyring with other keys of their purpose."""
        return replace(self, **{keys.purpose.value: keys})


def ensure(path: Path) -> Keyring:
    """Load the keyring at `path`, first creating it if there is none.

    Safe when several processes start at once: the file appears complete or not at all, the first
    one wins, and all return the same keys. Raises what `load` raises.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _create(path, Keyring.generate())
    return load(path)


def load(path: Path) -> Keyring:
    """Read the keyring at `path`.

    Raises KeyringMissing, KeyringExposed when others than its owner have any right on the file,
    and KeyringCorrupt when it is not a keyring.
    """
    try:
        with path.open("rb") as file:
            rights = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read()
    except FileNotFoundError:
        raise KeyringMissing(
            f"no keyring at {path}: run `hub up` to create one on a new installation, or restore "
            "the file from its backup if the database already holds members"
        ) from None
    except PermissionError:
        raise KeyringExposed(
            f"{path} cannot be read by this user: run the hub as the file's owner"
        ) from None
    except OSError as bad:
        raise KeyringCorrupt(f"{path} cannot be read: {bad.strerror}") from None
    if rights & 0o077:
        raise KeyringExposed(f"{path} is open to others ({rights:04o}): run `chmod 600 {path}`")
    try:
        return _parse(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as bad:
        raise KeyringCorrupt(
            f"{path} is not a keyring ({bad}): restore the file from its backup"
        ) from bad


def save(path: Path, keyring: Keyring) -> None:
    """Replace the file at `path` at once and durably (after renewing a key)."""
    draft = _write_draft(path, keyring)
    draft.replace(path)
    _sync_directory(path.parent)


def _create(path: Path, keyring: Keyring) -> None:
    draft = _write_draft(path, keyring)
    try:
        # A hard link, not a rename: it fails when another process was first.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    _sync_directory(path.parent)


def _write_draft(path: Path, keyring: Keyring) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(_render(keyring), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _render(keyring: Keyring) -> dict[str, Any]:
    document: dict[str, Any] = {"format": FORMAT}
    for purpose in Purpose:
        keys = keyring.keys(purpose)
        document[purpose.value] = {
            "active": keys.active,
            "keys": {
                str(version): base64.b64encode(key).decode()
                for version, key in keys.versions.items()
            },
        }
    return document


def _parse(document: Any) -> Keyring:
    if document["format"] != FORMAT:
        raise ValueError(f"unknown format {document['format']!r}")
    keys = {p.value: _parse_keys(p, document) for p in Purpose if p.value in document}
    if Purpose.AUDIT.value not in keys:
        keys[Purpose.AUDIT.value] = _first_audit_keys(keys[Purpose.BLIND_INDEX.value])
    return Keyring(**keys)


def _first_audit_keys(index: MasterKeys) -> MasterKeys:
    """Derive the audit key that a keyring from before there was one stands for.

    It is written out with the next change of the file, before the key it comes from can go.
    """
    oldest = index.versions[min(index.versions)]
    key = HKDF(SHA256(), KEY_BYTES, None, b"hub.crypto.audit/1").derive(oldest)
    return MasterKeys(Purpose.AUDIT, 1, {1: key})


def _parse_keys(purpose: Purpose, document: Any) -> MasterKeys:
    entry = document[purpose.value]
    keys = {
        int(version): base64.b64decode(key, validate=True) for version, key in entry["keys"].items()
    }
    return MasterKeys(purpose, int(entry["active"]), keys)
