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
    TRANSFER = 10
    CONTRIBUTE = 11
    LEAVE = 12
    ADJUST = 13
    EXTEND = 14
    REINSTATE = 15
    SETTLE = 16
    OPENING = 17
    RECOVER = 18
    MERGE = 19
    SPLIT = 20


class Outcome(IntEnum):
    """What came of a request. Everything but POSTED is a decline, stored like a success."""

    POSTED = 0
    INSUFFICIENT_POINTS = 1
    HOLD_UNKNOWN = 2
    HOLD_CLOSED = 3
    HOLD_EXCEEDED = 4
    REDEMPTION_UNKNOWN = 5
    REDEMPTION_EXCEEDED = 6
    LIMIT_EXCEEDED = 7
    LOT_UNKNOWN = 8
    LOT_EXCEEDED = 9
    NOT_LATER = 10
    RECEIVABLE_UNKNOWN = 11
    RECEIVABLE_EXCEEDED = 12


class Side(IntEnum):
    """The two sides of an entry. A member's balance is its credits less its debits.

    MOVED, JOINED and REDRESSED net to zero in every transaction: what leaves one comes to another.
    JOINED goes along when members merge or split; REDRESSED is what accounts that were never one
    had spent of each other's.
    """

    MEMBER = 1
    ISSUED = 10
    ACCEPTED = 20
    EXPIRED = 30
    CLAWED_BACK = 40
    MOVED = 50
    ADJUSTED = 60
    OPENING = 70
    RECEIVABLE = 80
    RECOVERED = 90
    JOINED = 100
    REDRESSED = 110


class ShortfallMode(IntEnum):
    """What becomes of points that a clawback could not take from lots."""

    FORGIVEN = 0
    OWED = 1
    RECEIVABLE = 2


class Unit(IntEnum):
    """The units every group has. Qualifying points move a member up and are never spent.

    A group may have more spendable units; their numbers are in the programme.
    """

    SPENDABLE = 1
    QUALIFYING = 2
