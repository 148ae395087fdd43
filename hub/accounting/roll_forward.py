"""Roll forward: from what was owed for points at a period's beginning to what is at its end."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.adding_up import round_to_add_up
from hub.accounting.movements import CohortState, Movement, MovementKind, Proof, RollForward
from hub.accounting.recognition import CohortMovement, decimal, expected_points, liability
from hub.accounting.standing import Standing, standing, summed
from hub.settlement.netting import round_to_minor

_SHOWN_WHEN_MOVED = (MovementKind.BROUGHT_IN, MovementKind.ADJUSTED)

OwnerKey = tuple[int, int, str]
"""Owner, unit and currency."""


async def roll_forward(db: AsyncConnection, *, period_id: int) -> list[RollForward]:
    """Return a closed period's roll-forwards, by owner, unit and currency.

    Of a period that is not recognised yet they are what recognition would say now. Raises what
    `hub.accounting.reckon.reckon` raises, and NotFound.
    """
    return rolled(await standing(db, period_id=period_id))


def rolled(found: Standing) -> list[RollForward]:
    """Return how liabilities went from where they stood to where they stand."""
    closing: dict[OwnerKey, list[CohortState]] = defaultdict(list)
    opening: dict[OwnerKey, list[CohortState]] = defaultdict(list)
    moved: dict[OwnerKey, list[CohortMovement]] = defaultdict(list)
    for states, by_owner in ((found.closing, closing), (found.opening, opening)):
        for state in states:
            by_owner[state.owner_id, state.unit, state.currency].append(state)
    for of, movement in found.movements:
        moved[of.owner_id, of.unit, of.currency].append(movement)
    return [
        _roll(
            found,
            owner,
            opening[owner],
            moved[owner],
            closing[owner],
            sold=any(state.issuer_id != state.owner_id for state in closing[owner]),
        )
        for owner in sorted(closing)
    ]


def _roll(
    found: Standing,
    owner: OwnerKey,
    opening: Sequence[CohortState],
    moved: Sequence[CohortMovement],
    closing: Sequence[CohortState],
    *,
    sold: bool,
) -> RollForward:
    owner_id, unit, currency = owner
    totals = _totals(moved)
    begin = _end(MovementKind.OPENING, opening, currency)
    if not opening and MovementKind.BROUGHT_IN in totals and not sold:
        # What there was before the hub is what its first period begins with. But what was sold to
        # an issuer is paid for now, whenever it was issued.
        points, amount, *_ = totals.pop(MovementKind.BROUGHT_IN)
        minor = round_to_minor(amount, currency)
        begin = Movement(kind=MovementKind.OPENING, points=points, amount=amount, minor=minor)
    end = _end(MovementKind.CLOSING, closing, currency)
    proof = summed([liability(state) for state in closing])
    expected = sum((expected_points(state) for state in closing), Fraction(0))
    return RollForward(
        period_id=found.period.period_id,
        owner_id=owner_id,
        unit=unit,
        currency=currency,
        recognised=found.recognised,
        movements=(begin, *_lines(totals, end.minor - begin.minor, currency), end),
        proof=Proof(
            expected_points=decimal(expected),
            amount=proof,
            minor=round_to_minor(proof, currency),
        ),
    )


def _end(kind: MovementKind, states: Sequence[CohortState], currency: str) -> Movement:
    amount = summed([state.liability for state in states])
    points = sum(state.outstanding for state in states)
    return Movement(kind=kind, points=points, amount=amount, minor=round_to_minor(amount, currency))


_Total = tuple[int, Decimal, int, Decimal]


def _totals(moved: Sequence[CohortMovement]) -> dict[MovementKind, _Total]:
    """Return points and amounts by kind, and of each what is of partners."""
    by_kind: dict[MovementKind, list[CohortMovement]] = defaultdict(list)
    for one in moved:
        by_kind[one.kind].append(one)
    return {
        kind: (
            sum(one.points for one in found),
            summed([one.amount for one in found]),
            sum(one.partner_points for one in found),
            summed([one.partner_amount for one in found]),
        )
        for kind, found in by_kind.items()
    }


def _lines(
    totals: Mapping[MovementKind, _Total], change_minor: int, currency: str
) -> list[Movement]:
    kinds = [
        kind
        for kind in MovementKind
        if kind in totals
        or kind not in (MovementKind.OPENING, MovementKind.CLOSING, *_SHOWN_WHEN_MOVED)
    ]
    shown = [totals.get(kind, (0, Decimal(0), 0, Decimal(0))) for kind in kinds]
    minors = round_to_add_up([amount for _, amount, _, _ in shown], change_minor, currency)
    return [
        Movement(
            kind=kind,
            points=points,
            amount=amount,
            minor=minor,
            partner_points=partner_points,
            partner_amount=partner_amount,
            partner_minor=minor
            if partner_points == points
            else round_to_minor(partner_amount, currency),
        )
        for kind, minor, (points, amount, partner_points, partner_amount) in zip(
            kinds, minors, shown, strict=True
        )
    ]
