"""How a cohort of points becomes revenue in a period. Pure and exact.

What was paid for a cohort's points (`allocated`) is revenue as they are redeemed: to date,
allocated x redeemed / expected to be redeemed (IFRS 15, B42-B44, B46; example 52). The rest of it
is owed. A new estimate changes what was recognised before, which is the catch-up. What is expected
can never be more than what was redeemed and what is still outstanding: once a cohort's points have
ended, what was expected beyond its redemptions is breakage.

A cohort is a portfolio (IFRS 15, 4): its sales share one allocation, and what is clawed back takes
its average with it.

Amounts are rounded half-even to a trillionth of the major unit, once per movement, and what that
leaves goes to the largest movement, so that opening and movements are the closing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

from hub.accounting.movements import CohortState, MovementKind

_PLACES = 12
_QUANTUM = Decimal(1).scaleb(-_PLACES)
_PAID_FOR = (
    MovementKind.DEFERRED,
    MovementKind.BROUGHT_IN,
    MovementKind.CLAWBACK,
    MovementKind.ADJUSTED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortFlow:
    """What moved of a cohort in a period. `points` are signed, positive where more are owed.

    `price` is what the points were sold with, `refunded` what of that was refunded; `given` are
    points that came without a sale, at `given_cost`, which are part of ADJUSTED; `brought_cost` is
    the cost of BROUGHT_IN. In major units of the issuer's currency. Of points that were sold at
    issue, `paid` is what was paid for them, net of tax, by what moved; None: they came with goods.
    """

    points: Mapping[MovementKind, int] = field(default_factory=dict)
    partner: Mapping[MovementKind, int] = field(default_factory=dict)
    price: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    given: int = 0
    given_cost: Decimal = Decimal(0)
    brought_cost: Decimal = Decimal(0)
    paid: Mapping[MovementKind, Decimal] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortTerms:
    """How a cohort is accounted for in a period.

    `rate` is the estimate in force; `goods_discount` and `least_share` are the policy's, as
    `allocate` takes them; `brought_liability` what the books said of the points brought
    in (None: their expected cost). `refundable`: points were sold at issue, and the price of those
    that end is given back, so that all that was paid for is owed until it is redeemed or ends.
    """

    issuer_id: int
    owner_id: int
    unit: int
    cohort: date
    currency: str
    rate: Decimal
    point_value: Decimal
    goods_discount: Decimal = Decimal(0)
    least_share: Decimal = Decimal(0)
    refundable: bool = False
    brought_liability: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortMovement:
    """What changed a cohort's liability; exact, signed, positive where more is owed."""

    kind: MovementKind
    points: int
    amount: Decimal
    partner_points: int
    partner_amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What a period made of a cohort. `to_points` is what of the price was allocated to points."""

    state: CohortState
    movements: tuple[CohortMovement, ...]
    to_points: Decimal


@dataclass(frozen=True, slots=True)
class _Books:
    """What a cohort's figures say: see hub.accounting.movements.CohortState."""

    issued: int
    redeemed: int
    outstanding: int
    rate: Fraction
    allocated: Fraction

    @property
    def per_point(self) -> Fraction:
        """Return what each expected redemption is worth."""
        planned = self.rate * self.issued
        return self.allocated / planned if planned > 0 else Fraction(0)

    @property
    def counted(self) -> Fraction:
        """Return the redemptions that count: no more than are expected bring revenue."""
        return min(Fraction(self.redeemed), max(self.rate * self.issued, Fraction(0)))

    @property
    def planned_liability(self) -> Fraction:
        """Return what would be owed if all that is expected could still come."""
        return self.allocated - self.counted * self.per_point

    @property
    def expected(self) -> Fraction:
        """Return how many redemptions are expected in all: what ended cannot be redeemed."""
        redeemed = Fraction(self.redeemed)
        return min(max(self.rate * self.issued, redeemed), redeemed + max(self.outstanding, 0))

    @property
    def liability(self) -> Fraction:
        """Return what is owed for the redemptions that are still expected."""
        expected = self.expected
        if expected <= 0:
            return Fraction(0)
        return self.allocated * (expected - self.redeemed) / expected


def decimal(exact: Fraction) -> Decimal:
    """Return `exact` rounded half-even to a trillionth of the major unit."""
    scaled = round(exact * 10**_PLACES)  # of a Fraction: to the even one of two equally near
    with localcontext() as context:
        context.prec = 60
        return Decimal(scaled).scaleb(-_PLACES)


def allocate(
    price: Decimal,
    points: int,
    *,
    point_value: Decimal,
    rate: Decimal,
    goods_discount: Decimal = Decimal(0),
    least_share: Decimal = Decimal(0),
) -> Fraction:
    """Return what of `price` is paid for `points`: by relative stand-alone prices (IFRS 15, 76).

    Goods stand alone at their price before the discount that they are sold at on average, points at
    their value times how many will be redeemed; both share the discount (IFRS 15, 81). Points that
    come to less than `least_share` of the price are no material right (B40): nothing is for them.
    """
    paid = Fraction(price)
    alone = points * Fraction(point_value) * Fraction(rate)
    if paid <= 0 or alone <= 0:
        return Fraction(0)
    share = alone / (paid / (1 - Fraction(goods_discount)) + alone)
    return paid * share if share >= Fraction(least_share) else Fraction(0)


def expected_points(state: CohortState) -> Fraction:
    """Return how many more of a cohort's points are expected to be redeemed."""
    return _books(state).expected - state.redeemed


def liability(state: CohortState, *, rate: Decimal | None = None) -> Decimal:
    """Return what a cohort's figures say is owed (the proof), or would be at another `rate`."""
    books = _books(state)
    if rate is not None:
        books = _Books(
            books.issued, books.redeemed, books.outstanding, Fraction(rate), books.allocated
        )
    return decimal(books.liability)


def _books(state: CohortState | None) -> _Books:
    if state is None:
        return _Books(0, 0, 0, Fraction(1), Fraction(0))
    return _Books(
        state.issued,
        state.redeemed,
        state.outstanding,
        Fraction(state.rate),
        Fraction(state.allocated),
    )


def recognise_cohort(
    before: CohortState | None, flow: CohortFlow, terms: CohortTerms
) -> Recognised:
    """Return what a period's flow, under its terms, makes of a cohort that stood as `before`."""
    was = _books(before)
    said = {kind: flow.points.get(kind, 0) for kind in MovementKind}
    if flow.paid is None:
        paid = _paid_with_goods(was, flow, terms, said)
    else:
        paid = {kind: Fraction(amount) for kind, amount in flow.paid.items()}
    ended = said[MovementKind.EXPIRED] if terms.refundable else 0
    now = _Books(
        was.issued + sum(said[kind] for kind in _PAID_FOR) + ended,
        was.redeemed - said[MovementKind.REDEEMED] - said[MovementKind.REINSTATED],
        was.outstanding + sum(said.values()),
        Fraction(1) if terms.refundable else Fraction(terms.rate),
        Fraction(decimal(was.allocated + sum(paid.values()))),
    )
    amounts = {**paid, **_earned(was, now, said)}
    owed = before.liability if before is not None else Decimal(0)
    closing = decimal(now.liability)
    state = CohortState(
        issuer_id=terms.issuer_id,
        owner_id=terms.owner_id,
        unit=terms.unit,
        cohort=terms.cohort,
        currency=terms.currency,
        issued=now.issued,
        redeemed=now.redeemed,
        outstanding=now.outstanding,
        rate=Decimal(1) if terms.refundable else terms.rate,
        allocated=decimal(now.allocated),
        liability=closing,
    )
    tied = _tied(amounts, closing - owed)
    movements = tuple(
        _movement(kind, said[kind], flow.partner.get(kind, 0), tied.get(kind, Decimal(0)))
        for kind in MovementKind
        if said[kind] or tied.get(kind)
    )
    to_points = decimal(paid.get(MovementKind.DEFERRED, Fraction(0)))
    return Recognised(state=state, movements=movements, to_points=to_points)


def _paid_with_goods(
    was: _Books, flow: CohortFlow, terms: CohortTerms, said: Mapping[MovementKind, int]
) -> dict[MovementKind, Fraction]:
    """Return what each kind adds to what was paid for points that came with goods.

    Points that came without a sale are worth what their redemptions are expected to cost.
    """
    rate = Fraction(terms.rate)
    points = said[MovementKind.DEFERRED]
    to_points = allocate(
        flow.price,
        points,
        point_value=terms.point_value,
        rate=terms.rate,
        goods_discount=terms.goods_discount,
        least_share=terms.least_share,
    )
    brought = (
        Fraction(flow.brought_cost) * rate
        if terms.brought_liability is None
        else Fraction(terms.brought_liability)
    )
    came = {
        MovementKind.BROUGHT_IN: Fraction(decimal(brought)),
        MovementKind.DEFERRED: Fraction(decimal(to_points)),
        MovementKind.ADJUSTED: Fraction(decimal(Fraction(flow.given_cost) * rate)),
    }
    clawed_back, taken = _taken(
        was.allocated + sum(came.values()),
        was.issued + points + said[MovementKind.BROUGHT_IN] + flow.given,
        said[MovementKind.CLAWBACK],
        said[MovementKind.ADJUSTED] - flow.given,
    )
    came[MovementKind.ADJUSTED] += taken
    return {**came, MovementKind.CLAWBACK: clawed_back}


def _taken(
    pool: Fraction, issued: int, clawed_back: int, adjusted: int
) -> tuple[Fraction, Fraction]:
    """Return what points that are taken back (negative) take of what was paid, at its average.

    More than there are take all of it.
    """
    points = clawed_back + adjusted
    if not points or issued <= 0:
        return Fraction(0), Fraction(0)
    taken = pool * max(Fraction(points, issued), Fraction(-1))
    return taken * clawed_back / points, taken * adjusted / points


def _earned(
    was: _Books, now: _Books, said: Mapping[MovementKind, int]
) -> dict[MovementKind, Fraction]:
    """Return what redemptions, a new estimate and breakage do to what is owed."""
    before = min(Fraction(was.redeemed), max(now.rate * now.issued, Fraction(0)))
    given_back = said[MovementKind.REINSTATED]
    return {
        MovementKind.REDEEMED: -now.per_point * (now.counted - before + given_back),
        MovementKind.REINSTATED: now.per_point * given_back,
        MovementKind.CATCH_UP: was.counted * was.per_point - before * now.per_point,
        MovementKind.BREAKAGE: now.liability
        - now.planned_liability
        - (was.liability - was.planned_liability),
    }


def _tied(amounts: Mapping[MovementKind, Fraction], total: Decimal) -> dict[MovementKind, Decimal]:
    """Return the amounts rounded so that they sum to `total`: the largest takes what is left."""
    rounded = {kind: decimal(amount) for kind, amount in amounts.items()}
    left = total - sum(rounded.values(), Decimal(0))
    if left:
        largest = max(rounded, key=lambda kind: (abs(rounded[kind]), kind))
        rounded[largest] += left
    return rounded


def _movement(kind: MovementKind, points: int, partner: int, amount: Decimal) -> CohortMovement:
    share = Fraction(amount) * partner / points if points else Fraction(0)
    return CohortMovement(
        kind=kind,
        points=points,
        amount=amount.quantize(_QUANTUM, ROUND_HALF_EVEN),
        partner_points=partner,
        partner_amount=decimal(share),
    )
