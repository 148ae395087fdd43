"""Voucher codes: what is printed, typed and scanned. Pure.

A code is 17 characters that follow from the voucher's number and a secret key (HMAC-SHA256), and a
check character: ISO/IEC 7064, MOD 37-2, which finds every single wrong character and every swap of
neighbours. The alphabet has no I, L, O and U, so that none is taken for 1, 1, 0 and V; where the
check character would be one of them, or the standard's `*`, the next 17 are drawn. 17 characters of
32 and no such check character leave 84.8 bits: nobody guesses one of a million.
"""

import hmac
import re
import unicodedata
from dataclasses import dataclass, field
from hashlib import sha256

from hub.errors import Malformed

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BODY = 17
LENGTH = BODY + 1
_VALUES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"  # what ISO/IEC 7064 counts each character as
_VALUE = {character: value for value, character in enumerate(_VALUES)}
_WEIGHTS = [pow(2, BODY - place, 37) for place in range(BODY)]
_DIGEST_BYTES = 16
_TYPED = str.maketrans("OIL", "011")
_BETWEEN = re.compile(r"[\s\-‐-―−_.]+")
_LONGEST = 100
# Two characters of a body at once: a million codes are made in a few seconds.
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_LAST = (1 << 5) - 1


@dataclass(frozen=True, slots=True)
class CodeKey:
    """What an installation's codes are made of and found by (32 random bytes)."""

    secret: bytes = field(repr=False)

    def code(self, voucher_id: int) -> str:
        """Return the code of a voucher, without separators."""
        draw = 0
        while True:
            text = b"hub.voucher_code/1\0%d\0%d" % (voucher_id, draw)
            body = _body(hmac.digest(self.secret, text, sha256))
            check = check_character(body)
            if check in ALPHABET:
                return body + check
            draw += 1

    def digest(self, code: str) -> bytes:
        """Return what a code is found by: without the key, it says nothing of the code."""
        text = b"hub.voucher_digest/1\0" + code.encode()
        return hmac.digest(self.secret, text, sha256)[:_DIGEST_BYTES]


def _body(random: bytes) -> str:
    bits = int.from_bytes(random[:11], "big") >> 3
    return (
        "".join([_PAIRS[bits >> shift & 1023] for shift in range(75, 4, -10)])
        + ALPHABET[bits & _LAST]
    )


def check_character(body: str) -> str:
    """Return the check character of 17 characters (ISO/IEC 7064, MOD 37-2)."""
    total = sum([_VALUE[c] * w for c, w in zip(body, _WEIGHTS, strict=True)])
    return _VALUES[(1 - total) % 37]


def normalise(typed: str) -> str:
    """Return the code that somebody typed, as it was issued; raises Malformed naming `code`.

    Small and full-width letters, O for 0, I and L for 1, spaces and dashes make no difference.
    """
    text = unicodedata.normalize("NFKC", typed[:_LONGEST]).upper()
    code = _BETWEEN.sub("", text).translate(_TYPED)
    if len(code) != LENGTH or len(typed) > _LONGEST or not set(code) <= set(ALPHABET):
        raise Malformed(
            f"a voucher code has {LENGTH} letters and digits, without I, L, O and U", field="code"
        )
    if check_character(code[:BODY]) != code[BODY]:
        raise Malformed("this code has a wrong character: type it once more", field="code")
    return code


def printed(code: str) -> str:
    """Return a code as it is printed: in groups of six."""
    return "-".join(code[start : start + 6] for start in range(0, LENGTH, 6))
