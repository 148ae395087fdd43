"""Prepare: what a recognised period would post, from its roll-forwards and settlement's totals."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.adding_up import round_to_add_up
from hub.accounting.journals.build import build
from hub.accounting.journals.lines import Draft, Moved
from hub.accounting.movements import Movement, MovementKind, RollForward
from hub.accounting.policies import in_force, policies
from hub.accounting.recognition import CohortMovement
from hub.accounting.roll_forward import roll_forward
from hub.accounting.standing import Standing, standing, summed
from hub.errors import Rejected
from hub.settlement.netting import round_to_minor
from hub.settlement.queries import Period, totals

_ENDS = (MovementKind.OPENING, MovementKind.CLOSING)

_ByIssuer = dict[tuple[int, int, str, MovementKind], dict[int, list[CohortMovement]]]
"""Owner, unit, currency and kind, and within them the issuer."""


async def prepare(db: AsyncConnection, *, period: Period) -> list[Draft]:
    """Return the journals that a period makes, by legal entity and currency.

    Raises Rejected when it is not recognised, or when a business is principal for one unit of
    points and agent for another; what `reckon` raises while it is not closed.
    """
    found = await standing(db, period_id=period.period_id)
    if not found.recognised:
        raise Rejected(
            f"period {period.code} is not recognised yet: recognise it first", period=period.code
        )
    rolls = await roll_forward(db, period_id=period.period_id)
    entities = await db.execute(text("SELECT business_id, legal_entity_id FROM business"))
    return build(
        moved=[one for roll in rolls for one in _moved(roll, _by_issuer(found))],
        totals=(await totals(db, period_ids=[period.period_id]))[period.period_id],
        entities={row.business_id: row.legal_entity_id for row in entities},
        agents=await _agents(db, period),
    )


def _by_issuer(found: Standing) -> _ByIssuer:
    moved: _ByIssuer = defaultdict(lambda: defaultdict(list))
    for of, movement in found.movements:
        moved[of.owner_id, of.unit, of.currency, movement.kind][of.issuer_id].append(movement)
    return moved


def _moved(roll: RollForward, by_issuer: _ByIssuer) -> Iterator[Moved]:
    """Return a roll-forward's movements by issuer; those of a kind sum to the roll-forward's."""
    for movement in roll.movements:
        if movement.kind not in _ENDS:
            yield from _shared(
                roll,
                movement,
                by_issuer[roll.owner_id, roll.unit, roll.currency, movement.kind],
            )


def _shared(
    roll: RollForward, movement: Movement, by_issuer: dict[int, list[CohortMovement]]
) -> Iterator[Moved]:
    issuers = sorted(by_issuer)
    amounts = [summed([one.amount for one in by_issuer[issuer]]) for issuer in issuers]
    minors = round_to_add_up(amounts, movement.minor, roll.currency)
    for issuer_id, minor in zip(issuers, minors, strict=True):
        cohorts = by_issuer[issuer_id]
        points = sum(one.points for one in cohorts)
        elsewhere_points, elsewhere = _elsewhere(movement, cohorts)
        yield Moved(
            issuer_id=issuer_id,
            owner_id=roll.owner_id,
            currency=roll.currency,
            kind=movement.kind,
            points=points,
            minor=minor,
            elsewhere_points=elsewhere_points,
            elsewhere_minor=minor
            if elsewhere_points == points and elsewhere_points
            else round_to_minor(elsewhere, roll.currency),
        )


def _elsewhere(movement: Movement, cohorts: list[CohortMovement]) -> tuple[int, Decimal]:
    """Return what was redeemed at another business than the owner."""
    if movement.kind not in (MovementKind.REDEEMED, MovementKind.REINSTATED):
        return 0, Decimal(0)
    return (
        sum(one.partner_points for one in cohorts),
        summed([one.partner_amount for one in cohorts]),
    )


async def _agents(db: AsyncConnection, period: Period) -> set[int]:
    """Return the businesses that are agents, by their policies in force at the period's end."""
    versions = await policies(db)
    roles: dict[int, set[str]] = defaultdict(set)
    for issuer_id, unit in versions:
        policy = in_force(versions, issuer_id=issuer_id, unit=unit, cohort=period.ends_on)
        if policy is not None:
            roles[issuer_id].add(policy.role)
    torn = sorted(business_id for business_id, named in roles.items() if len(named) > 1)
    if torn:
        raise Rejected(
            f"businesses {torn} are principal for points of one unit and agent for another's: "
            "what they pay others cannot be told apart; set one role for each of them",
            business_id=torn[0],
            field="role",
        )
    return {business_id for business_id, named in roles.items() if named == {"agent"}}
