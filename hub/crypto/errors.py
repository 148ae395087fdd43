"""What can go wrong with keys and ciphertexts, each saying the way out."""

from hub.errors import HubError


class KeyringMissing(HubError):
    """There is no keyring file where one is expected."""

    code = "keyring_missing"


class KeyringExposed(HubError):
    """The keyring file can be read or written by others than its owner."""

    code = "keyring_exposed"


class KeyringCorrupt(HubError):
    """The keyring file does not hold what a keyring holds."""

    code = "keyring_corrupt"


class KeyringForeign(HubError):
    """The keyring is not the one that this database was written with."""

    code = "keyring_foreign"


class KeyUnknown(HubError):
    """Something was made under a key version that this keyring does not hold."""

    code = "key_unknown"


class Undecipherable(HubError):
    """A ciphertext was altered, moved to another row, or made under another key."""

    code = "undecipherable"
