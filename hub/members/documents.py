"""Identity documents in the clear: read once, checked, and indexed at once.

Sources send hashes of their own making; only a desk of the group that holds the document in its
hands has its number, and hands it to `index_document`. Nothing else takes one, and none is stored.
"""

import re
import unicodedata
from datetime import date
from enum import StrEnum

from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.members.identifiers import Identifier, Kind, identify

# GB 11643-1999, 4.2: weights of the first 17 digits; the check character by the sum modulo 11.
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
# GB/T 2260: the first digit is the region, 1 North to 6 North-West, 7 Taiwan, 8 Hong Kong and
# Macao, 9 foreigners with permanent residence.
_RESIDENT = re.compile(r"[1-9]\d{16}[0-9X]")
_OLD_RESIDENT = re.compile(r"[1-9]\d{14}")
_PASSPORT = re.compile(r"[0-9A-Z]{6,9}")


class DocumentType(StrEnum):
    """What kind of document a number is of."""

    RESIDENT_ID = "resident_id"
    PASSPORT = "passport"


def index_document(
    keyring: Keyring,
    *,
    type: DocumentType,  # noqa: A002
    number: str,
    country: str = "CN",
    check_digit: str | None = None,
) -> Identifier:
    """Return a document as an identifier to be shown with a sighting.

    `country` (ISO 3166, two or three letters as the document has it) issued a passport, whose
    numbers repeat from country to country; `check_digit` is the one that follows the number in the
    machine-readable zone. Raises Malformed, which names the field and never quotes the number.
    """
    if type is DocumentType.RESIDENT_ID:
        normal = resident_id(number)
    else:
        normal = passport(number, country=country, check_digit=check_digit)
    if normal is None:
        raise Malformed(f"this is no number of a {type.value}: read it again", field="number")
    return identify(keyring, Kind.ID_DOCUMENT, normal)


def resident_id(text: str) -> str | None:
    """Return a Chinese resident's number as `CN/` and 18 characters (GB 11643-1999).

    A number of 15 digits, issued until 1999, is the same person's: the century 19 is put in and
    the check character appended. None when the check character or the date of birth is wrong.
    """
    number = _plain(text)
    if _OLD_RESIDENT.fullmatch(number):
        number = f"{number[:6]}19{number[6:]}"
        number += _check_character(number)
    if not _RESIDENT.fullmatch(number) or number[17] != _check_character(number[:17]):
        return None
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None
    return f"CN/{number}"


def _check_character(digits: str) -> str:
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True))
    return _CHECKS[total % 11]


def passport(text: str, *, country: str, check_digit: str | None = None) -> str | None:
    """Return a passport's number behind its country: `GBR/925665416`.

    Where the machine-readable zone's check digit is given it must fit (ICAO Doc 9303-3, 4.9):
    letters count from A = 10, the filler < as nothing, the weights are 7, 3, 1.
    """
    number = _plain(text)
    issuer = country.strip().upper()
    if not _PASSPORT.fullmatch(number) or not re.fullmatch(r"[A-Z]{1,3}", issuer):
        return None
    if check_digit is not None and check_digit.strip() != _zone_check(number):
        return None
    return f"{issuer}/{number}"


def _zone_check(number: str) -> str:
    values = (int(character, 36) for character in number)
    return str(sum(value * (7, 3, 1)[place % 3] for place, value in enumerate(values)) % 10)


def _plain(text: str) -> str:
    return re.sub(r"[\s<-]", "", unicodedata.normalize("NFKC", text)).upper()
