"""Settlement's codes. The database stores the numbers; they are never reused."""

from enum import IntEnum


class LineKind(IntEnum):
    """What a line is owed for."""

    REDEMPTION = 1
    ISSUE = 2
    BENEFIT = 3
    VOUCHER = 4
    BREAKAGE = 5
    PREFUND = 6
    PREFUND_DRAW = 7
    CAP = 8
    CORRECTION = 9
    CARRIED = 10
    PLAN = 11
    """Money that was taken for a plan of another business."""
    COMMISSION = 12
    """What whoever took it has for that."""


class Source(IntEnum):
    """What a line derives from: what its `tx_id` and `seq` are the number of."""

    ENTRY = 1
    USE = 2
    CORRECTION = 3
    DISPUTE = 4
    TERMS = 5
    """What an agreement says of a period: 2^32 times its number, and the agreement's."""
    VOUCHER = 8
    """What happened to a voucher: it was redeemed, or that was cancelled."""
    PLAN = 9
    """A payment for a plan, or a refund of one."""
    GRANT = 10
    """What moved a quota that a campaign granted."""
