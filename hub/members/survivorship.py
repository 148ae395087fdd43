"""Which of the values that a member's accounts give is shown, and by which rule. Pure.

A pin of staff wins. Else a verified value beats others; then the business that is ranked higher for
the attribute; then what was seen last; and of two that were seen at once, the older account's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

ATTRIBUTES = ("name", "phone", "email", "birthday")
"""What is shown of a member, in this order."""


class Because(StrEnum):
    """The rule by which a value is shown: what tells it from the next best."""

    PIN = "pin"
    VERIFIED = "verified"
    RANK = "rank"
    RECENCY = "recency"
    ONLY = "only"
    """No other account says anything."""


@dataclass(frozen=True, slots=True)
class Trait:
    """What an account says of one attribute. `rank`: its business's place, 1 first, None last."""

    account_id: int
    business_id: int
    attribute: str
    ciphertext: bytes
    verified: bool
    observed_at: datetime
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """What staff chose to be shown of an attribute: what an account says, or words of their own."""

    account_id: int
    business_id: int
    attribute: str
    shows: str
    ciphertext: bytes | None
    pinned_at: datetime
    pinned_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Survivor:
    """The value to show, why, and the pin that chose it."""

    trait: Trait
    because: Because
    pin: Pin | None = None

    @property
    def by_staff(self) -> bool:
        """Whether staff wrote the value; it is kept with an account that does not say it."""
        return self.pin is not None and self.pin.ciphertext is not None


def survivors(traits: Iterable[Trait], pins: Iterable[Pin]) -> dict[str, Survivor]:
    """Choose of each attribute what is shown, in the order of ATTRIBUTES.

    `pins` are those in force, one of an attribute at most. One that names an account which says
    nothing of the attribute, or is not to be seen, leaves the choice to the rules.
    """
    said: dict[str, list[Trait]] = {}
    for trait in traits:
        said.setdefault(trait.attribute, []).append(trait)
    pinned = {pin.attribute: pin for pin in pins}
    chosen = {}
    for attribute in ATTRIBUTES:
        survivor = _survivor(said.get(attribute, []), pinned.get(attribute))
        if survivor is not None:
            chosen[attribute] = survivor
    return chosen


def _survivor(traits: Sequence[Trait], pin: Pin | None) -> Survivor | None:
    if pin is not None and pin.ciphertext is not None:
        return Survivor(_written(pin, pin.ciphertext), Because.PIN, pin)
    if pin is not None and pin.shows == "account":
        for trait in traits:
            if trait.account_id == pin.account_id:
                return Survivor(trait, Because.PIN, pin)
    best = sorted(traits, key=_weight, reverse=True)
    if not best:
        return None
    return Survivor(best[0], _because(*best[:2]))


def _written(pin: Pin, ciphertext: bytes) -> Trait:
    """Return staff's own words as a trait of the account that they are kept with."""
    return Trait(
        account_id=pin.account_id,
        business_id=pin.business_id,
        attribute=pin.attribute,
        ciphertext=ciphertext,
        verified=False,
        observed_at=pin.pinned_at,
    )


def _weight(trait: Trait) -> tuple[bool, float, datetime, int]:
    rank = float("-inf") if trait.rank is None else -trait.rank
    return (trait.verified, rank, trait.observed_at, -trait.account_id)


def _because(best: Trait, other: Trait | None = None) -> Because:
    if other is None:
        return Because.ONLY
    if best.verified != other.verified:
        return Because.VERIFIED
    return Because.RANK if best.rank != other.rank else Because.RECENCY
