"""What agreement and disagreement on a field are worth before anything is known of a table. Pure.

Weights are powers of two: how many times likelier is this level of agreement if two rows are one
person than if they are two? (Fellegi and Sunter 1969.) `m` is how often it is met among rows of
one person, `u` among rows of two.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from hub.members.matching.columns import Field


class Level(IntEnum):
    """How far two values agree."""

    MISSING = -1
    DIFFERENT = 0
    PARTLY = 1
    NEAR = 2
    EQUAL = 3


LEVELS = 4


@dataclass(frozen=True, slots=True)
class Prior:
    """What is thought of a field before a table is seen: m and u by level, and bounds in bits.

    `rarest` is the most that agreement on a rare value says, `least` what the worst disagreement.
    """

    m: tuple[float, float, float, float]
    u: tuple[float, float, float, float]
    rarest: float
    least: float = -6.0


PRIORS: dict[Field, Prior] = {
    Field.GIVEN_NAME: Prior((0.03, 0.03, 0.09, 0.85), (0.955, 0.025, 0.008, 0.012), 10.0, -5.0),
    Field.SURNAME: Prior((0.04, 0.02, 0.09, 0.85), (0.968, 0.020, 0.006, 0.006), 11.0, -4.5),
    Field.BIRTHDAY: Prior((0.02, 0.02, 0.06, 0.90), (0.958, 0.040, 0.0018, 0.0002), 13.5, -6.0),
    Field.STREET_NUMBER: Prior((0.15, 0.05, 0.10, 0.70), (0.88, 0.05, 0.05, 0.02), 6.0, -2.0),
    Field.STREET: Prior((0.15, 0.05, 0.10, 0.70), (0.95, 0.03, 0.01, 0.01), 11.0, -2.5),
    Field.STREET_2: Prior((0.35, 0.05, 0.05, 0.55), (0.95, 0.03, 0.01, 0.01), 7.0, -1.0),
    Field.CITY: Prior((0.12, 0.03, 0.05, 0.80), (0.92, 0.03, 0.01, 0.04), 9.0, -2.5),
    Field.POSTCODE: Prior((0.12, 0.03, 0.07, 0.78), (0.93, 0.03, 0.02, 0.02), 9.5, -2.5),
    Field.STATE: Prior((0.06, 0.01, 0.03, 0.90), (0.79, 0.00, 0.01, 0.20), 2.5, -2.0),
    Field.PHONE: Prior((0.25, 0.02, 0.06, 0.67), (0.995, 0.003, 0.001, 0.001), 24.0, -2.0),
    Field.EMAIL: Prior((0.30, 0.03, 0.07, 0.60), (0.994, 0.003, 0.002, 0.001), 25.0, -2.0),
    Field.DOCUMENT: Prior((0.01, 0.02, 0.07, 0.90), (0.9979, 0.001, 0.001, 0.0001), 30.0, -8.0),
    Field.LOYALTY_ID: Prior((0.05, 0.02, 0.06, 0.87), (0.9979, 0.001, 0.001, 0.0001), 26.0, -2.0),
    Field.ACCOUNT_ID: Prior((0.10, 0.00, 0.00, 0.90), (0.9999, 0.0, 0.0, 0.0001), 28.0, -3.0),
    Field.SEX: Prior((0.03, 0.0, 0.0, 0.97), (0.5, 0.0, 0.0, 0.5), 1.0, -4.0),
}

IDENTIFIERS: dict[Field, float] = {
    Field.PHONE: 4.0,
    Field.EMAIL: 5.0,
    Field.LOYALTY_ID: 7.0,
    Field.ACCOUNT_ID: 8.0,
    Field.DOCUMENT: 10.0,
}
"""Fields that lead to a person: by how many bits one that only one name has outweighs the prior."""

PLACES = (
    Field.STREET_NUMBER,
    Field.STREET,
    Field.STREET_2,
    Field.CITY,
    Field.POSTCODE,
    Field.STATE,
)
"""A household shares these, and one agrees as the others do: together they are bounded."""
PLACE_BITS = (-4.0, 15.0)
NO_FAMILIES_PLACE_BITS = (-6.0, 30.0)
"""Where a table turns out to hold no families, places say what they say."""

ALIKE_BITS = 5.0
"""Strangers of one name are more alike than chance has it: of one origin, one age, one town."""

RELATIVES = {
    Field.GIVEN_NAME: 10.0,
    Field.SURNAME: 2.0,
    Field.BIRTHDAY: 12.0,
    Field.PHONE: 5.0,
    Field.EMAIL: 6.0,
    Field.LOYALTY_ID: 6.0,
    Field.STREET_NUMBER: 1.0,
    Field.STREET: 1.0,
    Field.STREET_2: 1.0,
    Field.CITY: 1.0,
    Field.POSTCODE: 1.0,
    Field.STATE: 0.5,
}
"""The most that agreement says against two relatives, in bits."""
NO_FAMILIES_ALIKE_BITS = 2.5
TWINS_BITS = 6.0
"""One birthday says so much against two relatives of different names: one in sixty are twins."""
NO_FAMILIES = 0.02
"""With so few pairs of relatives for one pair of one person's rows, a table has no families."""

SHARED_BY = 6
"""An identifier that so many names go by is a front desk's or an agency's."""


class Veto(IntFlag):
    """Why two rows are not made one by themselves, however much they weigh."""

    DOCUMENT = 1
    """They have different documents."""
    BIRTHDAY = 2
    """Their birthdays cannot be one that was mistyped."""
    NAME = 4
    """Their given names have nothing in common, or one is called junior."""
    HOUSEHOLD = 8
    """All that agrees may be shared by a family."""
    ALL = 15
