"""One spelling for each identifier, so that equal things compare equal. Pure.

Every function takes what a source wrote and returns its normal form, or None when it identifies
nobody: not of its kind at all, a placeholder, or shared by many (a hotline, an agency's relay).
A value that is None here is no error: tills are full of `1111111111`.
"""

import re
import unicodedata
from datetime import date

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumberType

# Lines that reach one person. Fixed lines are shared by households and front desks; service
# numbers by everyone. North America does not tell mobile from fixed.
_PERSONAL_LINES = {
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.PERSONAL_NUMBER,
}
# China Mobile's own top-up line, typed wherever a form insists on a number.
_PLACEHOLDER_PHONES = {"+8613800138000"}

# Travel agencies and marketplaces lend each booking an address of their own.
_RELAY_DOMAINS = {
    "agoda-messaging.com",
    "guest.airbnb.com",
    "guest.booking.com",
    "m.expediapartnercentral.com",
    "marketplace.amazon.com",
    "reply.airbnb.com",
}
# Mailboxes read by whoever is on duty (RFC 2142 and the usual no-replies).
_ROLE_MAILBOXES = {
    "abuse", "admin", "billing", "booking", "bookings", "contact", "do-not-reply", "donotreply",
    "guest", "hello", "help", "hostmaster", "info", "mail", "marketing", "no-reply", "none",
    "noreply", "office", "postmaster", "reception", "reservation", "reservations", "sales",
    "support", "test", "unknown", "webmaster",
}  # fmt: skip
# Providers known to deliver `name+anything` to `name`; elsewhere the plus may be part of a name.
_PLUS_IS_A_TAG = {
    "fastmail.com", "gmail.com", "hotmail.com", "icloud.com", "live.com", "me.com", "outlook.com",
    "proton.me", "protonmail.com",
}  # fmt: skip
_SAME_PROVIDER = {"googlemail.com": "gmail.com"}

# What programs say where an id is missing.
_NO_IDS = {"none", "null", "undefined", "unknown", "string", "false", "[object object]"}

OLDEST_YEARS = 120
# What forms are filled with when nobody asked: not anybody's birthday for matching.
_PLACEHOLDER_BIRTHDAYS = {date(1900, 1, 1), date(1970, 1, 1)}


def phone(text: str, region: str | None = None) -> str | None:
    """Return a personal phone number in E.164 (`+8613910203040`).

    `region` (ISO 3166, e.g. `CN`) reads numbers written without a country code; without it such
    numbers are None. Validity is libphonenumber's `is_valid_number`: possible length alone lets
    mistyped numbers collide.
    """
    try:
        number = phonenumbers.parse(unicodedata.normalize("NFKC", text), region)
    except NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    if phonenumbers.number_type(number) not in _PERSONAL_LINES:
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if e164 in _PLACEHOLDER_PHONES or _is_filler(e164):
        return None
    return e164


def _is_filler(e164: str) -> bool:
    """Zeros, or digits in a run: typed to fill a field (139 0000 0000, 139 1234 5678)."""
    tail = e164[-8:]
    return tail == "00000000" or tail in "0123456789" or tail in "9876543210"


def email(text: str) -> str | None:
    """Return an address in the form under which its provider delivers it.

    Syntax is email-validator's, without asking DNS. The domain is lower-cased and, where
    international, in ASCII form; the local part is lower-cased too (RFC 5321 lets it matter, no
    provider of note does). Gmail ignores dots; the providers in the list above ignore what
    follows a plus. Nothing else is folded.
    """
    try:
        parsed = validate_email(text.strip(), check_deliverability=False)
    except EmailNotValidError:
        return None
    return delivered(parsed.local_part.lower(), (parsed.ascii_domain or parsed.domain).lower())


def delivered(local: str, domain: str) -> str | None:
    """Return where a lower-case address is delivered by the rules of its provider."""
    domain = _SAME_PROVIDER.get(domain, domain)
    if domain in _RELAY_DOMAINS or local in _ROLE_MAILBOXES:
        return None
    if domain in _PLUS_IS_A_TAG:
        local = local.partition("+")[0]
    if domain == "gmail.com":
        local = local.replace(".", "")
    return f"{local}@{domain}" if local else None


def loyalty_id(text: str, *, luhn: bool = False) -> str | None:
    """Return a card number's digits and Latin letters, in capitals, however it is printed.

    `luhn`: the issuer ends its numbers with a check digit (ISO/IEC 7812-1, annex B), so that one
    without it was mistyped. Most do not: a number is not to be refused for another issuer's rule.
    """
    printed = unicodedata.normalize("NFKC", text).upper()
    normal = re.sub(r"[^0-9A-Z]", "", printed)
    if len(normal) < 4 or len(set(normal)) == 1:
        return None
    return normal if not luhn or passes_luhn(re.sub(r"[A-Z]", "", normal)) else None


def passes_luhn(digits: str) -> bool:
    """Tell whether the last digit is right by Luhn (ISO/IEC 7812-1, annex B).

    From the right every second digit counts double, less nine where that has two digits.
    """
    doubled = (int(d) * 2 - 9 * (d > "4") for d in digits[-2::-2])
    return digits != "" and (sum(doubled) + sum(map(int, digits[::-2]))) % 10 == 0


def opaque_id(text: str) -> str | None:
    """Return an id that only its maker can read (unionid, openid), stripped; case matters.

    What programs write where they have none is None.
    """
    normal = text.strip()
    no_id = len(normal) < 4 or len(set(normal)) == 1 or normal.casefold() in _NO_IDS
    return None if no_id else normal


def id_document_hash(text: str) -> str | None:
    """Return a hash of an identity document as sources send it: hexadecimal, in lower case.

    Anything else is None: a document number in the clear has no business here.
    """
    normal = text.strip().lower()
    return normal if re.fullmatch(r"[0-9a-f]{32,128}", normal) else None


def birthday(text: str, *, on: date | None = None) -> str | None:
    """Return a date of birth as `YYYY-MM-DD`, or `--MM-DD` (ISO 8601) when its year is unknown.

    Reads `1990-02-03`, `19900203`, `1990/2/3`, `1990年2月3日` and the year 0000 of systems that
    keep only the day. Placeholders such as 1900-01-01 are None, and so is, for somebody seen `on`
    a day, a day after it or more than 120 years before.
    """
    digits = re.fullmatch(
        r"(\d{4}|-)[-/.年]?(\d{2}|\d(?!\d))[-/.月]?(\d{1,2})日?", text.strip()[:10].rstrip("T")
    )
    if digits is None:
        return None
    year, month, day = digits.groups()
    unknown_year = year in ("-", "0000")
    try:
        found = date(2000 if unknown_year else int(year), int(month), int(day))
    except ValueError:
        return None
    if unknown_year:
        return f"--{found:%m-%d}"
    if on is not None and (found > on or on.year - found.year > OLDEST_YEARS):
        return None
    return None if found in _PLACEHOLDER_BIRTHDAYS else found.isoformat()
