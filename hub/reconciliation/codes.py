"""Reconciliation's codes. The database stores the numbers; they are never reused."""

from enum import IntEnum, StrEnum


class Role(StrEnum):
    """Whose book a file is of: of what a business is owed, of what it owes, or its bank's."""

    CREDITOR = "creditor"
    DEBTOR = "debtor"
    BANK = "bank"


class Leg(IntEnum):
    """Which book the hub's rows are laid beside. They are consumed once for each."""

    CREDITOR = 1
    DEBTOR = 2
    RECEIVED = 3
    PAID = 4


LEGS = {
    Role.CREDITOR: (Leg.CREDITOR,),
    Role.DEBTOR: (Leg.DEBTOR,),
    Role.BANK: (Leg.RECEIVED, Leg.PAID),
}


class Rule(IntEnum):
    """By what rows were found to belong together. TWINS, NEAR, PARTS and CUT_SHORT only suggest."""

    REFERENCE = 1
    REFERENCE_WITHIN = 2
    REFERENCE_PARTS = 3
    FIGURES = 4
    FIGURES_WITHIN = 5
    DAY_TOTAL = 6
    TWINS = 7
    NEAR = 8
    PARTS = 9
    BY_HAND = 10
    CUT_SHORT = 11


SUGGESTS = frozenset({Rule.TWINS, Rule.NEAR, Rule.PARTS, Rule.CUT_SHORT})
