"""Which payment a bank's entry says it is: our own end-to-end id, however the bank wrote it."""

import re

_OURS = re.compile(r"S\d{6,8}-\d{1,5}-\d{1,5}-[A-Z]{3}")
"""As hub.settlement.prepare_payments names payments."""
_LONGEST = 140
_NONE = ("NONREF", "NOTPROVIDED")


def payment_named(said: str, *elsewhere: str) -> tuple[str | None, str | None]:
    """Return the end-to-end id, and else what the bank says in its place, for people to read.

    Banks break ids by spaces and lines, and write them in other letters: that is the same id. What
    is cut short is none. Where the id's own place is empty it may stand `elsewhere`, if only one
    does.
    """
    plain = _plain(said)
    if _OURS.fullmatch(plain):
        return plain, None
    found = {name for text in elsewhere for name in _OURS.findall(_plain(text))}
    if len(found) == 1:
        return found.pop(), None
    return None, None if plain in ("", *_NONE) else said.strip()[:_LONGEST]


def _plain(text: str) -> str:
    return re.sub(r"\s", "", text).upper()
