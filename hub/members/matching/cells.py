"""From what a table's cells hold to one spelling per kind of value. Pure.

Looser than `hub.members.normalise`, which decides who owns an identifier: here a value is only
compared, and one with a slip of the pen is worth comparing. What identifies nobody is still None.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from hub.members import names, normalise

_MISSING = {
    "", "-", "--", ".", "<na>", "?", "n.a.", "n/a", "na", "nan", "nat", "nil", "none", "null",
    "unknown", "xx", "xxx", "无", "未知",
}  # fmt: skip
_SUFFIXES = {"jr": "jr", "junior": "jr", "sr": "sr", "senior": "sr", "ii": "ii", "iii": "iii"}
_WAYS = {
    "st": "street", "str": "street", "rd": "road", "ave": "avenue", "av": "avenue", "dr": "drive",
    "ln": "lane", "ct": "court", "cres": "crescent", "crt": "court", "pl": "place",
    "blvd": "boulevard", "hwy": "highway", "sq": "square", "pde": "parade", "tce": "terrace",
}  # fmt: skip
_MALE, _FEMALE = (
    {"m", "male", "man", "mr", "男", "h", "1"},
    {"f", "female", "woman", "ms", "女", "w", "2"},
)
# A day on which nobody is born: what forms, spreadsheets and clocks begin with.
_NO_DAYS = {"19000101", "19700101", "19010101", "18991230", "18991231", "20000101", "11111111"}


class Person(NamedTuple):
    """A full name taken apart, each part in the form in which it is compared."""

    given: str | None
    surname: str | None
    suffix: str | None


def text_of(cell: object) -> str | None:
    """Return a cell as text: numbers without `.0`, dates in ISO 8601; None for nothing."""
    if isinstance(cell, str):
        text = cell.strip()
    elif _is_nothing(cell):
        return None
    elif isinstance(cell, date):
        text = cell.isoformat()[:10]
    else:
        text = re.sub(r"\.0+$", "", str(cell).strip())
    return None if text.casefold() in _MISSING else text


def _is_nothing(cell: object) -> bool:
    """NaN and NaT are not themselves, and pandas's NA will not say whether it is."""
    try:
        return cell is None or bool(cell != cell)  # noqa: PLR0124
    except TypeError:
        return True


def word(text: str) -> str | None:
    """A name's or place's letters: accents dropped, Chinese characters spelt in pinyin."""
    spelt = " ".join(_words(text))
    return spelt or None


def written(text: str) -> str | None:
    """A name in simplified Chinese characters, if it has any: 玮 and 伟 sound alike only."""
    return None if text.isascii() else names.parse(text).han or None


@lru_cache(maxsize=65536)
def _words(text: str) -> tuple[str, ...]:
    if text.isascii():
        return tuple(re.findall(r"[a-z]+", text.casefold().replace("'", "").replace(".", "")))
    name = names.parse(text)
    return (names.spelling(name.han), *name.words) if name.han else name.words


def given_name(text: str) -> str | None:
    """A given name without titles, blanks and hyphens: `Jean-Paul`, `Xiao Ming`."""
    return _joined(w for w in _words(text) if w not in _SUFFIXES)


def surname(text: str) -> str | None:
    """A surname without blanks: `van der Berg`."""
    return _joined(w for w in _words(text) if w not in _SUFFIXES)


def _joined(words: Iterable[str]) -> str | None:
    return "".join(words) or None


def suffix(text: str) -> str | None:
    """What tells a father from his son of the same name."""
    return next((_SUFFIXES[w] for w in reversed(_words(text)) if w in _SUFFIXES), None)


def full_name(text: str) -> Person:
    """Take a full name apart. Which word is the surname may be wrong: both orders are compared."""
    shown = names.display_form(text)
    if shown is None:
        return Person(None, None, None)
    family = names.surname(shown)
    if family is not None:
        han = names.parse(shown).han
        rest = han[len(family) :].strip("*")
        return Person(names.spelling(rest) or None, names.spelling(han[: len(family)]), None)
    last, _, first = shown.partition(",")
    if (front := _plain_words(first)) and (back := _plain_words(last)):
        return Person(front[0], "".join(back), suffix(shown))
    return Person(*_given_and_surname(_plain_words(shown)), suffix(shown))


def _given_and_surname(words: list[str]) -> tuple[str | None, str | None]:
    """The first word and the last; of Chinese names the surname, first or last, and the rest."""
    if len(words) < 2:
        return (words[0] if words else None), None
    if len(words) == 3 and names.all_pinyin(words):
        first, middle, last = words
        if names.is_pinyin_surname(first) or not names.is_pinyin_surname(last):
            return middle + last, first
        return first + middle, last
    return words[0], words[-1]


def _plain_words(text: str) -> list[str]:
    titles = {"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "madam"}
    return [w for w in _words(text) if w not in _SUFFIXES and w not in titles]


def birthday(text: str) -> str | None:
    """A date as eight digits, zeros for an unknown year; also one that no calendar has.

    A slip of the pen makes the 34th of a month, and still says most of the day it was meant to be.
    `3/2/1990` is read day first, unless only the other order makes a date.
    """
    parts = re.findall(r"\d+", text if text.isascii() else unicodedata.normalize("NFKC", text))
    if text.startswith("--") and len(parts) == 2:
        parts = ["0000", *parts]
    if len(parts) == 1 and len(parts[0]) in (8, 14):
        digits = str(parts[0][:8])
    elif len(parts) >= 3 and len(parts[0]) == 4:
        digits = f"{parts[0]}{parts[1].zfill(2)[-2:]}{parts[2].zfill(2)[:2]}"
    elif len(parts) >= 3 and len(parts[2]) == 4:
        day, month = (parts[1], parts[0]) if int(parts[1]) > 12 else (parts[0], parts[1])
        digits = f"{parts[2]}{month.zfill(2)[-2:]}{day.zfill(2)[-2:]}"
    else:
        return None
    if len(digits) != 8 or digits in _NO_DAYS or len(set(digits)) == 1:
        return None
    return digits


def number(text: str) -> str | None:
    """A number of a house or a postcode: digits and letters, without leading zeros."""
    return re.sub(r"[^0-9a-z]", "", text.casefold()).lstrip("0") or None


def street(text: str) -> str | None:
    """A street's name with its kind written out: `High St`, `high street`."""
    if not text.isascii():
        spelt = word(text)
        return spelt if spelt else None
    words = re.findall(r"[a-z0-9]+", text.casefold().replace("'", ""))
    return " ".join(_WAYS.get(w, w) for w in words) or None


def split_number(text: str) -> tuple[str | None, str]:
    """The number in front of (or behind) a street's name, and the street."""
    before = re.match(r"\s*(\d+\w?)[\s,]+(?=\D)", text)
    if before:
        return before[1], text[before.end() :]
    behind = re.search(r"\s(\d+\w?)\s*$", text)
    return (behind[1], text[: behind.start()]) if behind else (None, text)


def phone(text: str) -> str | None:
    """The last nine digits of a phone number: the same with and without the country's code."""
    digits = re.sub(r"\D", "", text if text.isascii() else unicodedata.normalize("NFKC", text))
    tail = digits[-9:]
    if len(tail) < 7 or len(set(tail)) < 3 or tail[-7:] in "01234567890" or tail[-5:] == "00000":
        return None
    return tail


def email(text: str) -> str | None:
    """An address as its provider delivers it; None where it leads to an agency or a front desk."""
    local, _, domain = text.strip().casefold().rpartition("@")
    return normalise.delivered(local, domain) if local and "." in domain else None


def document(text: str) -> str | None:
    """A document's number: digits and letters, at least four of them and not all the same."""
    plain = re.sub(r"[^0-9a-z]", "", text.casefold())
    return plain if len(plain) >= 4 and len(set(plain)) > 1 else None


def sex(text: str) -> str | None:
    """`m`, `f`, or None for anything else."""
    plain = text.casefold().strip(".")
    return "m" if plain in _MALE else "f" if plain in _FEMALE else None
