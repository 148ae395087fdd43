"""Scrub: card numbers never reach the database, wherever in a body they stand.

The hub has no use for them, and storing one would bring it under PCI DSS (v4, requirement 3). What
is left is what may be shown of a card number: the first six digits and the last four (3.4.1).
"""

import codecs
import json
import re
from typing import Final

from hub.members.normalise import passes_luhn

_DIGIT: Final = (
    rb"(?:[0-9]|\\u003[0-9]|&#(?:0*4[89]|0*5[0-7]|x0*3[0-9]);"
    # Of full width, as East Asian keyboards write them.
    rb"|\xef\xbc[\x90-\x99]|\\u[Ff]{2}1[0-9])"
)
# One sign between digits, as people and machines group them: a space or a hyphen of any width,
# however it is written.
_GAP: Final = (
    rb"(?:[ \-]|%2[0Dd]|\xc2[\xa0\xad]|\xe2\x80[\x80-\x8b\x90-\x95\xaf]|\xe2\x88\x92|\xe3\x80\x80"
    rb"|\xef\xbc\x8d|%[Cc]2%[Aa]0|&nbsp;|&#(?:0*160|x0*[Aa]0|0*32|x0*20|0*45|x0*2[Dd]);"
    rb"|\\u(?:00(?:20|2[Dd]|[Aa][0Dd])|20(?:0[0-9ABab]|1[0-5]|2[Ff])|2212|3000|[Ff]{2}0[Dd]))"
)
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
_BLANK: Final = b" \t\r\n"
_KEPT_FIRST, _KEPT_LAST = 6, 4
_FIRST_GROUP: Final = 4
_WIDE: Final = (
    # The first of these begins with the third.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_Digits = list[tuple[int, int]]

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
    body, found = _scrub_wide(body)

    def hide(run: re.Match[bytes]) -> bytes:
        nonlocal found
        written = run[0]
        cards = _cards(body, written, run.start())
        if not cards:
            return written
        found += len(cards)
        sign = b"0" if written.isdigit() and _is_bare(body, run) else b"*"
        clean, last = [], 0
        for digits in cards:
            for start, end in digits[_KEPT_FIRST : len(digits) - _KEPT_LAST]:
                clean += [written[last:start], sign]
                last = end
        return b"".join((*clean, written[last:]))

    return _RUN.sub(hide, body), found


def _scrub_wide(body: bytes) -> tuple[bytes, int]:
    """Scrub a body of two or four bytes a letter, with a mark at its beginning or without.

    Whoever reads JSON or XML finds that out by itself, so it must be found out here.
    """
    marked = (one for one in _WIDE if body.startswith(one[0]))
    mark, encoding = next(marked, (b"", json.detect_encoding(body)))
    if not encoding.startswith(("utf-16-", "utf-32-")):
        return body, 0
    # What was cut off in the middle of a letter is left as it is.
    end = len(body) - (len(body) - len(mark)) % (2 if "16" in encoding else 4)
    try:
        text = body[len(mark) : end].decode(encoding, "surrogatepass")
    except UnicodeError:
        return body, 0
    clean, found = scrub(text.encode("utf-8", "surrogatepass"))
    if not found:
        return body, 0
    wide = clean.decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass")
    return mark + wide + body[end:], found


def _cards(body: bytes, run: bytes, start: int) -> list[_Digits]:
    """The card numbers in a run that begins there, as the places of their digits.

    The whole run, or what is grouped within it: an expiry date may follow, or the next number.
    """
    if len(run) > _LONGEST and run.isdigit():
        return []
    digits: _Digits = []
    edges: list[int] = []
    end = -1
    for one in _SIGN.finditer(run):
        if one[1] is None:
            continue
        if one.start() != end:
            edges.append(len(digits))
        digits.append(one.span())
        end = one.end()
    number = _number(run, digits)
    for first in (0, _escaped(body, start)):
        if _is_card(number[first:]):
            return [digits[first:]]
    return [digits[first:last] for first, last in _grouped(number, [*edges, len(digits)])]


def _grouped(number: bytes, edges: list[int]) -> list[tuple[int, int]]:
    """The card numbers in a row of digits that begin and end with a group; `edges` are the groups'.

    Those that begin with the four digits that cards begin with, or more.
    """
    found, at = [], 0
    while at < len(edges) - 1:
        first, last = edges[at], 0
        if edges[at + 1] - first >= _FIRST_GROUP:
            ends = edges[at + 1 : at + _LONGEST]
            cards = [end for end in ends if _is_card(number[first:end])]
            last = max(cards, default=0)
        if last:
            found.append((first, last))
        at = edges.index(last, at) if last else at + 1
    return found


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


def _is_bare(body: bytes, run: re.Match[bytes]) -> bool:
    """Whether a run stands as JSON's numbers do: neither quoted nor between an element's tags."""
    before, after = run.start() - 1, run.end()
    while before >= 0 and body[before] in _BLANK:
        before -= 1
    while after < len(body) and body[after] in _BLANK:
        after += 1
    opened, closed = body[max(before, 0) : before + 1], body[after : after + 1]
    return opened in (b":", b"[", b",") and closed in (b",", b"]", b"}", b".")
