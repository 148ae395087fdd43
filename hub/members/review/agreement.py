"""How what an account says of a person agrees with what others say. Pure."""

from collections.abc import Iterable
from enum import StrEnum

from hub.members import names, normalise

COMPARED = ("name", "phone", "email", "birthday", "id_document_hash", "unionid", "loyalty_id")


class Agreement(StrEnum):
    """How two sides agree on an attribute."""

    SAME = "same"
    ALIKE = "alike"
    """They may be one: a name in another script or shortened, a birthday without its year."""
    DIFFERENT = "different"
    UNKNOWN = "unknown"
    """One of them says nothing."""


def agreement(attribute: str, some: Iterable[str], others: Iterable[str]) -> Agreement:
    """Return the best agreement of any value of one side with any of the other's."""
    found = {_of_two(attribute, one, other) for one in some for other in others}
    order = (Agreement.SAME, Agreement.ALIKE, Agreement.DIFFERENT)
    return next((one for one in order if one in found), Agreement.UNKNOWN)


def _of_two(attribute: str, one: str, other: str) -> Agreement:
    if attribute == "name":
        return _of_names(one, other)
    if attribute == "email":
        one, other = (normalise.email(text) or text for text in (one, other))
    if one == other:
        return Agreement.SAME
    if attribute == "birthday" and one[-5:] == other[-5:] and min(len(one), len(other)) < 10:
        return Agreement.ALIKE
    return Agreement.DIFFERENT


def _of_names(one: str, other: str) -> Agreement:
    if names.parse(one) == names.parse(other) and "*" not in names.parse(one).han:
        return Agreement.SAME
    return Agreement.DIFFERENT if names.contradicts(one, other) else Agreement.ALIKE
