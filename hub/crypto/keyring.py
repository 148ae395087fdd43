"""The master keys: one JSON file, readable by its owner only, every key versioned.

Five kinds of key live in it. A *key-encryption* key wraps data keys and seals raw deliveries; a
*blind-index* key makes identifiers findable; the *token* key signs access tokens; the *audit* key
proves who read what; the *signing* key signs statements. Of each kind the active version makes new
things; older versions stay to read what they made, and a newer one may wait to become active until
every process knows it. Whoever loses this file loses every personal field for good: back it up
apart from the database.
"""

import base64
import binascii
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hub.crypto.errors import KeyringCorrupt, KeyringExposed, KeyringMissing
from hub.crypto.master_keys import KEY_BYTES, MasterKeys, Purpose
from hub.crypto.wrapping import KeyWrapping, LocalWrapping

__all__ = ["KEY_BYTES", "Keyring", "MasterKeys", "Purpose", "change", "ensure", "load", "save"]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Keyring:
    """The master keys of one installation. Its repr shows no key."""

    key_encryption: MasterKeys
    blind_index: MasterKeys
    token: MasterKeys
    audit: MasterKeys
    signing: MasterKeys
    service: KeyWrapping | None = field(default=None, repr=False, compare=False)
    """What wraps data keys in the place of `key_encryption`, where there is such a service."""

    @property
    def wrapping(self) -> KeyWrapping:
        """What wraps data keys."""
        return self.service or LocalWrapping(self.key_encryption)

    @classmethod
    def generate(cls) -> "Keyring":
        """Make a keyring of fresh random keys, each in version 1."""
        return _of(
            MasterKeys(purpose, 1, {1: secrets.token_bytes(KEY_BYTES)}) for purpose in Purpose
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
        held = (keys if keys.purpose is purpose else self.keys(purpose) for purpose in Purpose)
        return replace(_of(held), service=self.service)


def _of(keys: Iterable[MasterKeys]) -> Keyring:
    held = {one.purpose: one for one in keys}
    return Keyring(
        key_encryption=held[Purpose.KEY_ENCRYPTION],
        blind_index=held[Purpose.BLIND_INDEX],
        token=held[Purpose.TOKEN],
        audit=held[Purpose.AUDIT],
        signing=held[Purpose.SIGNING],
    )


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


def change(path: Path, alter: Callable[[Keyring], Keyring]) -> Keyring:
    """Replace the keyring at `path` by what `alter` makes of it, while nobody else changes it.

    Raises what `load` and `alter` raise; the file is then as it was.
    """
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        altered = alter(load(path))
        save(path, altered)
    return altered


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
    keys = [
        _parse_keys(purpose, document)
        for purpose in Purpose
        if purpose not in _LATER or purpose.value in document
    ]
    index = next(one for one in keys if one.purpose is Purpose.BLIND_INDEX)
    missing = (purpose for purpose in _LATER if purpose.value not in document)
    return _of([*keys, *(_first_keys(purpose, index) for purpose in missing)])


# What keyrings of before do not have, and what it is derived for.
_LATER = {Purpose.AUDIT: b"hub.crypto.audit/1", Purpose.SIGNING: b"hub.crypto.signing/1"}


def _first_keys(purpose: Purpose, index: MasterKeys) -> MasterKeys:
    """Derive the keys that a keyring from before there were such stands for.

    They are written out with the next change of the file, before the key they come from can go.
    """
    oldest = index.versions[min(index.versions)]
    return MasterKeys(
        purpose, 1, {1: HKDF(SHA256(), KEY_BYTES, None, _LATER[purpose]).derive(oldest)}
    )


def _parse_keys(purpose: Purpose, document: Any) -> MasterKeys:
    entry = document[purpose.value]
    keys = {
        int(version): base64.b64decode(key, validate=True) for version, key in entry["keys"].items()
    }
    return MasterKeys(purpose, int(entry["active"]), keys)
