"""What moves a liability for points: the lines of a roll-forward, and how a price was shared.

`amount`s are exact, in major units; `minor` are whole minor units, rounded so that a roll-forward
adds up: the opening, the movements and the closing of one are as its books show them.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class MovementKind(StrEnum):
    """Why a liability changes. Points and money are signed: positive is owed more.

    BROUGHT_IN  points that an issuer had before the hub; within its first period they are opening
    DEFERRED    the part of sales' price that is allocated to points
    REDEEMED    revenue as points are redeemed (by a partner too: `partner_*`)
    REINSTATED  redemptions that were given back
    EXPIRED     points that ended, less those reinstated: no money moves, as it was expected, but
                where their price is given back to the issuer that bought them
    CLAWBACK    points taken back as their sale was refunded
    CATCH_UP    what was recognised before, put right by a new estimate
    BREAKAGE    expected redemptions that cannot come any more, as the points have ended
    ADJUSTED    points given or taken without a sale
    """

    OPENING = "opening"
    BROUGHT_IN = "brought_in"
    DEFERRED = "deferred"
    REDEEMED = "redeemed"
    REINSTATED = "reinstated"
    EXPIRED = "expired"
    CLAWBACK = "clawback"
    CATCH_UP = "catch_up"
    BREAKAGE = "breakage"
    ADJUSTED = "adjusted"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A line of a roll-forward. Of it, `partner_*` is of points that another business than their
    owner took or gave back; the rest is the owner's own.
    """

    kind: MovementKind
    points: int
    amount: Decimal
    minor: int
    partner_points: int = 0
    partner_amount: Decimal = Decimal(0)
    partner_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is owed, from the other side: `expected_points` still to be redeemed at what each is
    worth. `amount` is exact, and equals the closing's.
    """

    expected_points: Decimal
    amount: Decimal
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RollForward:
    """How an owner's liability went from a period's beginning to its end, in a unit of points.

    `movements` begin with the opening and end with the closing, and hold every kind but BROUGHT_IN
    and ADJUSTED even where nothing moved. `recognised` says that it stands; before, it is what
    recognition would say now.
    """

    period_id: int
    owner_id: int
    unit: int
    currency: str
    recognised: bool
    movements: tuple[Movement, ...]
    proof: Proof

    def of(self, kind: MovementKind) -> Movement:
        """Return the movement of a kind; one of nothing where there is none."""
        for one in self.movements:
            if one.kind is kind:
                return one
        return Movement(kind=kind, points=0, amount=Decimal(0), minor=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """How the price of an issuer's sales was shared: `to_points` is deferred by `owner_id`.

    `price` is what was sold for points, net of tax and of what was paid in points; `refunded` what
    of it went back in refunds that took points back, `refunded_to_points` the part of that which
    came off the liability. Exact amounts in major units, and rounded ones as the roll-forward's.
    `role` is the issuer's: where it owes the points, as principal it shows what was deferred as
    revenue and what it pays partners as cost, as agent only the difference; where it bought
    them at issue, what it paid is its cost, or comes off its revenue.
    """

    period_id: int
    issuer_id: int
    owner_id: int
    unit: int
    currency: str
    role: str
    points: int
    clawed_back: int
    price: Decimal
    to_points: Decimal
    refunded: Decimal
    refunded_to_points: Decimal
    price_minor: int
    to_points_minor: int
    refunded_minor: int
    refunded_to_points_minor: int

    @property
    def to_goods(self) -> Decimal:
        """Return what of the price is revenue at once."""
        return self.price - self.to_points

    @property
    def refunded_revenue(self) -> Decimal:
        """Return what of the refunds is taken off revenue."""
        return self.refunded - self.refunded_to_points


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortState:
    """How a cohort stands at the end of a period: points, and money exact in major units.

    `issued` is less what was clawed back, `redeemed` less what was given back; `rate` is how many
    of the points issued are expected to be redeemed, `allocated` what was paid for the points.
    """

    issuer_id: int
    owner_id: int
    unit: int
    cohort: date
    currency: str
    issued: int
    redeemed: int
    outstanding: int
    rate: Decimal
    allocated: Decimal
    liability: Decimal
