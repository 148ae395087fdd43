"""Voucher codes: what is printed, typed and scanned. Pure.

A code is 17 characters that follow from the voucher's number and a secret key (85 bits of AES-256
of the number), and a check character: ISO/IEC 7064, MOD 37-2, which finds every single wrong
character and every swap of neighbours. The alphabet has no I, L, O and U, so that none is taken for
1, 1, 0 and V; where the check character would be one of them, or the standard's `*`, the next 17
are drawn. 17 characters of 32 and no such check character leave 84.8 bits: nobody guesses one of a
million. What a code is found by is AES-256 of its 90 bits under another key: one block, so that no
two codes have the same, and of use to nobody without the key.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from hub.errors import Malformed

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BODY = 17
LENGTH = BODY + 1
_VALUES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"  # what ISO/IEC 7064 counts each character as
_VALUE = {character: value for value, character in enumerate(_VALUES)}
_WEIGHTS = [pow(2, BODY - place, 37) for place in range(BODY)]
_BETWEEN = re.compile(r"[\s\-‐-―−_.]+")
_TYPED = str.maketrans("OIL", "011")
_LONGEST = 100
_BLOCK = 16
_BITS = 5
_PLACES = np.array([16, 8, 4, 2, 1], dtype=np.uint8)
_CHARACTERS = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
_COUNTED = np.array([_VALUE[character] for character in ALPHABET], dtype=np.int64)
_WEIGHED = np.array(_WEIGHTS, dtype=np.int64)
# Of each check value its place in the alphabet, or -1.
_CHECKED = np.array([ALPHABET.find(character) for character in _VALUES], dtype=np.int64)
_SYMBOL = np.full(256, 255, dtype=np.uint8)
_SYMBOL[_CHARACTERS] = np.arange(32, dtype=np.uint8)

_Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CodeKey:
    """What an installation's codes are made of and found by (32 random bytes)."""

    secret: bytes = field(repr=False)

    def code(self, voucher_id: int) -> str:
        """Return the code of a voucher, without separators."""
        return self.codes([voucher_id])[0]

    def codes(self, voucher_ids: Sequence[int]) -> list[str]:
        """Return the codes of vouchers."""
        if not len(voucher_ids):
            return []
        symbols = self._drawn(np.asarray(voucher_ids, dtype=np.int64), 0)
        text = _CHARACTERS[symbols].tobytes().decode()
        return [text[start : start + LENGTH] for start in range(0, len(text), LENGTH)]

    def _drawn(self, ids: NDArray[np.int64], draw: int) -> _Bytes:
        """Draw codes, as places in the alphabet; where one has no check character, once more."""
        blocks = np.zeros((len(ids), 2), dtype=">i8")
        blocks[:, 0], blocks[:, 1] = ids, draw
        random = _encrypted(self.secret, b"code", blocks.tobytes())
        bits = np.unpackbits(random, axis=1, count=BODY * _BITS)
        body = (bits.reshape(len(ids), BODY, _BITS) @ _PLACES).astype(np.uint8)
        check = _CHECKED[(1 - _COUNTED[body] @ _WEIGHED) % 37]
        symbols = np.concatenate([body, check.astype(np.uint8)[:, None]], axis=1)
        without = np.flatnonzero(check < 0)
        if len(without):
            symbols[without] = self._drawn(ids[without], draw + 1)
        return symbols

    def digest(self, code: str) -> bytes:
        """Return what a code is found by: without the key, it says nothing of the code."""
        return self.digests([code])[0]

    def digests(self, codes: Sequence[str]) -> list[bytes]:
        """Return what codes are found by."""
        text = np.frombuffer("".join(codes).encode(), dtype=np.uint8)
        symbols = _SYMBOL[text].reshape(len(codes), LENGTH, 1)
        bits = np.unpackbits(symbols, axis=2)[:, :, 8 - _BITS :].reshape(len(codes), -1)
        blocks = np.zeros((len(codes), _BLOCK), dtype=np.uint8)
        packed = np.packbits(bits, axis=1)
        blocks[:, : packed.shape[1]] = packed
        hidden = _encrypted(self.secret, b"digest", blocks.tobytes()).tobytes()
        return [hidden[start : start + _BLOCK] for start in range(0, len(hidden), _BLOCK)]


def _encrypted(secret: bytes, purpose: bytes, blocks: bytes) -> _Bytes:
    """Encrypt blocks one by one: no two are alike, so that none tells of another."""
    encryptor = Cipher(AES(_key(secret, purpose)), ECB()).encryptor()  # noqa: S305
    return np.frombuffer(encryptor.update(blocks), dtype=np.uint8).reshape(-1, _BLOCK)


@lru_cache(maxsize=16)
def _key(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, None, b"hub.voucher/1/" + purpose).derive(secret)


def check_character(body: str) -> str:
    """Return the check character of 17 characters (ISO/IEC 7064, MOD 37-2)."""
    total = sum([_VALUE[c] * w for c, w in zip(body, _WEIGHTS, strict=True)])
    return _VALUES[(1 - total) % 37]


def normalise(typed: str, *, what: str = "a voucher code", field: str = "code") -> str:
    """Return the code that somebody typed, as it was issued; raises Malformed naming `field`.

    Small and full-width letters, O for 0, I and L for 1, spaces and dashes make no difference.
    """
    text = unicodedata.normalize("NFKC", typed[:_LONGEST]).upper()
    code = _BETWEEN.sub("", text).translate(_TYPED)
    if len(code) != LENGTH or len(typed) > _LONGEST or not set(code) <= set(ALPHABET):
        raise Malformed(
            f"{what} has {LENGTH} letters and digits, without I, L, O and U", field=field
        )
    if check_character(code[:BODY]) != code[BODY]:
        raise Malformed("this code has a wrong character: type it once more", field=field)
    return code


def printed(code: str) -> str:
    """Return a code as it is printed: in groups of six."""
    return "-".join(code[start : start + 6] for start in range(0, LENGTH, 6))
