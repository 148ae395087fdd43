"""Scrub: card numbers never reach the database, wherever in a body they stand.

The hub has no use for them, and storing one would bring it under PCI DSS (v4, requirement 3). What
is left is what may be shown of a card number: the first six digits and the last four (3.4.1).
"""

import codecs
import re
from typing import Final

from hub.members.normalise import passes_luhn

_DIGIT: Final = (
    rb"(?:[0-9]|\\u003[0-9]|&#(?:0*4[89]|0*5[0-7]|x0*3[0-9]);"
    # Of full width, as East Asian keyboards write them.
    rb"|\xef\xbc[\x90-\x99]|\\u[Ff]{2}1[0-9])"
)
# One sign between digits, as people and machines group them: a space, however it is written.
_GAP: Final = rb"(?:[ \-]|%20|\\u00(?:20|2d|a0)|\xc2\xa0|&nbsp;|&#(?:160|xa0|32|x20);)"
# Between groups as they are printed on cards anything that people type, and line breaks.
_BETWEEN: Final = rb"(?:%b|[.+_/\r\n\t]|\\[nrt]){1,4}" % _GAP
_PRINTED: Final = b"|".join(
    _BETWEEN.join(rb"%b{%d}" % (_DIGIT, n) for n in groups)
    for groups in ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4))
)
# A letter may stand before: `\n4111…`, or the B of a magnetic stripe's first track.
# What follows a decimal point is a fraction.
_RUN: Final = re.compile(
    rb"(?<![0-9])(?<![0-9]\.)(?:%b(?:%b?%b){12,}|%b)(?![0-9])" % (_DIGIT, _GAP, _DIGIT, _PRINTED)
)
_ESCAPE: Final = re.compile(rb"\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2}")
_LONGEST_ESCAPE: Final = 6
_SIGN: Final = re.compile(rb"%b|(%b)" % (_GAP, _DIGIT))
_SHORTEST, _LONGEST = 13, 19
_KEPT_FIRST, _KEPT_LAST = 6, 4

# Who issues numbers that begin so, and how long these are (ISO/IEC 7812; the schemes' own pages).
_SCHEMES: Final = (
    (re.compile(rb"4"), (13, 16, 19)),  # Visa
    (re.compile(rb"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile(rb"3[47]"), (15,)),  # American Express
    (re.compile(rb"30[0-5]|309|36|3[89]"), (14, 16, 17, 18, 19)),  # Diners Club
    (re.compile(rb"35(?:2[89]|[3-8])"), (16, 17, 18, 19)),  # JCB
    (re.compile(rb"6011|64[4-9]|65"), (16, 17, 18, 19)),  # Discover
    (re.compile(rb"62|81[0-7]"), (16, 17, 18, 19)),  # UnionPay
    (re.compile(rb"50(?:18|20|38)|5893|6304|6759|676[1-3]"), (16, 17, 18, 19)),  # Maestro
    (re.compile(rb"220[0-4]"), (16, 17, 18, 19)),  # Mir
    (re.compile(rb"6069|607|608[0-5]|508[5-9]|82"), (16,)),  # RuPay
)


def scrub(body: bytes) -> tuple[bytes, int]:
    """Return `body` with every card number cut to six and four digits, and how many there were.

    A card number is a run of digits, perhaps grouped or escaped (JSON's `\\u0034`, XML's `&#52;`),
    of a scheme's beginning and length, whose last digit is right by Luhn (ISO/IEC 7812-1, annex B).
    One in ten other numbers that look so is taken for one; it keeps ten digits to be told by.
    Digits that are hidden become `*`, or 0 where they are a bare JSON number, which stays one.
    """
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if body.startswith(mark):
            try:
                text = body[2:].decode(encoding).encode()
            except UnicodeError:
                break
            clean, found = scrub(text)
            return (mark + clean.decode().encode(encoding), found) if found else (body, 0)
    found = 0

    def hide(run: re.Match[bytes]) -> bytes:
        nonlocal found
        digits = [one.span() for one in _SIGN.finditer(run[0]) if one[1] is not None]
        if not _is_card(_number(run[0], digits)):
            digits = digits[_escaped(body, run.start()) :]
            if not _is_card(_number(run[0], digits)):
                return run[0]
        found += 1
        sign = b"0" if _is_number(body, run) else b"*"
        hidden = digits[_KEPT_FIRST : len(digits) - _KEPT_LAST]
        clean = run[0]
        for start, end in reversed(hidden):
            clean = clean[:start] + sign + clean[end:]
        return clean

    return _RUN.sub(hide, body), found


def _escaped(body: bytes, start: int) -> int:
    """How many digits from `start` may belong to an escaped sign before the number."""
    before = max(start - _LONGEST_ESCAPE, 0)
    ends = [one.end() for one in _ESCAPE.finditer(body, before, start + _LONGEST_ESCAPE)]
    return max((end - start for end in ends if 0 < end - start <= 2), default=0)


def _number(run: bytes, digits: list[tuple[int, int]]) -> bytes:
    return bytes(_value(run[start:end]) for start, end in digits)


def _value(digit: bytes) -> int:
    """The ASCII code of a digit, however it is escaped."""
    if digit.startswith(b"&#x"):
        return int(digit[3:-1], 16)
    if digit.startswith(b"&#"):
        return int(digit[2:-1])
    if digit.startswith(b"\xef"):
        return digit[2] - 0x60
    return digit[-1]


def _is_card(number: bytes) -> bool:
    if not _SHORTEST <= len(number) <= _LONGEST:
        return False
    issued = any(len(number) in lengths and head.match(number) for head, lengths in _SCHEMES)
    return issued and passes_luhn(number.decode())


def _is_number(body: bytes, run: re.Match[bytes]) -> bool:
    """Whether a run is a JSON number: neither quoted nor between an element's tags."""
    before, after = body[: run.start()].rstrip()[-1:], body[run.end() :].lstrip()[:1]
    return before in (b":", b"[", b",") and after in (b",", b"]", b"}", b".") and run[0].isdigit()
