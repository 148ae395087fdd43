"""The ledger's codes. The database stores the numbers; they are never reused."""

from enum import IntEnum


class Kind(IntEnum):
    """What a transaction is."""

    EARN = 1
    REDEEM = 2
    HOLD = 3
    CAPTURE = 4
    VOID = 5
    CLAWBACK = 6
    EXPIRE = 7
    RESTORE = 8
    LAPSE = 9


class Outcome(IntEnum):
    """What came of a request. Everything but POSTED is a decline, stored like a success."""

    POSTED = 0
    INSUFFICIENT_POINTS = 1
    HOLD_UNKNOWN = 2
    HOLD_CLOSED = 3
    HOLD_EXCEEDED = 4
    REDEMPTION_UNKNOWN = 5
    REDEMPTION_EXCEEDED = 6


class Side(IntEnum):
    """The two sides of an entry. A member's balance is its credits less its debits."""

    MEMBER = 1
    ISSUED = 10
    ACCEPTED = 20
    EXPIRED = 30
    CLAWED_BACK = 40


class Unit(IntEnum):
    """What is counted. Qualifying points move a member up the tiers and are never spent."""

    SPENDABLE = 1
    QUALIFYING = 2
