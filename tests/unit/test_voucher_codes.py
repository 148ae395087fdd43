"""Voucher codes: unguessable, forgiving of how they are typed, and never mistaken for another."""

import itertools
import math

import pytest

from hub.benefits.vouchers.codes import (
    ALPHABET,
    BODY,
    LENGTH,
    CodeKey,
    check_character,
    normalise,
    printed,
)
from hub.errors import Malformed

KEY = CodeKey(b"k" * 32)
CODES = [KEY.code(number) for number in range(1, 41)]


def valid(code: str) -> bool:
    return check_character(code[:BODY]) == code[BODY]


def test_the_check_character_is_that_of_the_standard() -> None:
    # ISO/IEC 7064 weighs the places of a string with powers of 2, from the right, beginning with
    # 1 at the check character; the whole is 1 modulo 37.
    values = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"
    for code in CODES:
        weighed = sum(values.index(c) * 2**place for place, c in enumerate(reversed(code)))
        assert weighed % 37 == 1


def test_every_wrong_character_and_every_swap_of_neighbours_is_found() -> None:
    wrong = swapped = 0
    for code in CODES[:10]:
        for place, other in itertools.product(range(LENGTH), ALPHABET):
            if other != code[place]:
                wrong += 1
                assert not valid(code[:place] + other + code[place + 1 :])
    # For every pair of characters in every two neighbouring places, whatever stands elsewhere.
    code = CODES[0]
    for place, (a, b) in itertools.product(range(LENGTH - 1), itertools.permutations(ALPHABET, 2)):
        swapped += 1
        one = code[:place] + a + b + code[place + 2 :]
        two = code[:place] + b + a + code[place + 2 :]
        assert not (valid(one) and valid(two))
    assert (wrong, swapped) == (10 * LENGTH * 31, (LENGTH - 1) * 32 * 31)


def test_codes_are_long_enough_and_depend_on_the_key() -> None:
    assert math.log2(32**BODY * 32 / 37) > 84
    assert all(len(code) == LENGTH and set(code) <= set(ALPHABET) for code in CODES)
    assert len(set(CODES)) == len(CODES)
    assert not set(CODES) & {CodeKey(b"l" * 32).code(number) for number in range(1, 41)}
    # Each character comes up in each place about as often as any other.
    many = [KEY.code(number) for number in range(2000)]
    for place in range(LENGTH):
        counted = [sum(code[place] == c for code in many) for c in ALPHABET]
        assert min(counted) > 20
        assert max(counted) < 120


@pytest.mark.parametrize("code", CODES[:5])
def test_what_people_type_is_read_as_it_was_issued(code: str) -> None:
    full_width = "".join(chr(ord(c) + 0xFEE0) for c in code)
    looks_alike = code.replace("0", "O").replace("1", "l")
    for typed in (
        code.lower(),
        printed(code),
        f"  {' '.join(code)}\n",
        full_width,
        looks_alike,
        code.replace("1", "I"),
        printed(code).replace("-", "–"),
    ):
        assert normalise(typed) == code


def test_what_is_no_code_says_so() -> None:
    code = CODES[0]
    slip = code[:-1] + ("0" if code[-1] != "0" else "2")
    for typed in ("", code[:-1], code + "0", "U" * LENGTH, slip, "9" * 10_000, "券" * LENGTH):
        with pytest.raises(Malformed) as refused:
            normalise(typed)
        assert refused.value.facts["field"] == "code"


def test_the_digest_tells_nothing_without_the_key() -> None:
    digest = KEY.digest(CODES[0])
    assert len(digest) == 16
    assert digest != CodeKey(b"l" * 32).digest(CODES[0])
    assert digest == KEY.digest(normalise(printed(CODES[0]).lower()))
    assert "k" * 8 not in repr(KEY)
