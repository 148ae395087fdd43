"""Referral codes: a member's own, to be passed on to friends. Pure.

A code looks like a voucher's: 17 characters and a check character (hub.benefits.vouchers.codes).
It is the member's number and a few bits, 85 in all, encrypted under the key that voucher codes are
made of: a Feistel network of ten rounds over halves of 42 and 43 bits, as in NIST SP 800-38G, with
HMAC-SHA256 for its rounds. So a code leads to its member without being stored, nobody reads the
number from it, and of all that can be typed hardly one in 2^65 is a member's.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from hub.benefits.vouchers.codes import ALPHABET, BODY, CodeKey, check_character, normalise

_LEFT, _RIGHT = 42, 43
_ROUNDS = 10
_DRAW_BITS = 22
_DRAWS = 64


@dataclass(frozen=True, slots=True)
class ReferralKey:
    """What an installation's referral codes are made of."""

    key: CodeKey

    def code(self, member_id: int) -> str:
        """Return a member's code, without separators: the first draw with a check character."""
        for draw in range(_DRAWS):
            body = _written(self._turned(member_id << _DRAW_BITS | draw, range(_ROUNDS)))
            check = check_character(body)
            if check in ALPHABET:
                return body + check
        raise AssertionError("no draw has a check character")

    def member_id(self, typed: str) -> int | None:
        """Return whose code was typed, None for nobody's; raises Malformed for what is no code."""
        code = normalise(typed, what="a referral code", field="referralCode")
        number = 0
        for character in code[:BODY]:
            number = number << 5 | ALPHABET.index(character)
        member_id = self._turned_back(number) >> _DRAW_BITS
        return member_id if member_id and self.code(member_id) == code else None

    def _turned(self, number: int, rounds: range) -> int:
        left, right = number >> _RIGHT, number & (1 << _RIGHT) - 1
        for nth in rounds:
            left, right = right, (left + self._round(nth, right)) & _mask(nth)
        return left << _RIGHT | right

    def _turned_back(self, number: int) -> int:
        left, right = number >> _RIGHT, number & (1 << _RIGHT) - 1
        for nth in reversed(range(_ROUNDS)):
            left, right = (right - self._round(nth, left)) & _mask(nth), left
        return left << _RIGHT | right

    def _round(self, nth: int, half: int) -> int:
        said = b"hub.referral/1\0" + bytes([nth]) + half.to_bytes(8)
        return int.from_bytes(hmac.digest(self.key.secret, said, sha256)[:8])


def _mask(nth: int) -> int:
    return (1 << (_RIGHT if nth % 2 else _LEFT)) - 1


def _written(number: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(BODY)))
