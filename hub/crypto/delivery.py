"""Raw deliveries: bodies as they came, sealed until they are worked on or thrown away.

A body may name many people or none, so it belongs to no account's data key. Each is sealed under
a key of its own, derived by HKDF-SHA256 (RFC 5869) from the active key-encryption key and a random
salt kept in front of the envelope: no count of deliveries wears a key out, and nothing more needs
storing. Erasing a person means deleting the deliveries that name them: these keys are not theirs.
"""

import secrets

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hub.crypto import envelope
from hub.crypto.errors import Undecipherable
from hub.crypto.keyring import KEY_BYTES, Keyring

_SALT_BYTES = 16
_INFO = b"hub.crypto.delivery/1"


def seal(keyring: Keyring, body: bytes, *, context: str) -> bytes:
    """Encrypt a raw body. `context` names its place, e.g. `raw_delivery|body|42`."""
    keys = keyring.key_encryption
    salt = secrets.token_bytes(_SALT_BYTES)
    return salt + envelope.encrypt(_derive(keys.current, salt), keys.active, body, context)


def open_sealed(keyring: Keyring, sealed: bytes, *, context: str) -> bytes:
    """Return the raw body; raises Undecipherable, or KeyUnknown when its key is not at hand."""
    if len(sealed) < _SALT_BYTES:
        raise Undecipherable(f"{len(sealed)} bytes are too few for a sealed delivery")
    salt, body = sealed[:_SALT_BYTES], sealed[_SALT_BYTES:]
    master = keyring.key_encryption.version(envelope.key_version(body))
    return envelope.decrypt(_derive(master, salt), body, context)


def reseal(keyring: Keyring, sealed: bytes, *, context: str) -> bytes:
    """Seal anew, under the active key, what is sealed under any; raises what open_sealed raises."""
    return seal(keyring, open_sealed(keyring, sealed, context=context), context=context)


def version_sql(column: str) -> str:
    """Return SQL for the key version in a sealed column: it stands behind the salt."""
    return f"(get_byte({column}, {_SALT_BYTES + 1}) * 256 + get_byte({column}, {_SALT_BYTES + 2}))"


def _derive(master: bytes, salt: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt, _INFO).derive(master)
