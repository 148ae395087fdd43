"""Where liabilities stand at the two ends of a closed period, and what moved them in between."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.movements import CohortState, MovementKind
from hub.accounting.reckon import Allocated, Of, reckon, states_before
from hub.accounting.recognition import CohortMovement
from hub.settlement.queries import Period, period_by_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A closed period's liabilities, by cohort: as recognised, or as they would be now."""

    period: Period
    recognised: bool
    opening: Sequence[CohortState]
    closing: Sequence[CohortState]
    movements: Sequence[tuple[Of, CohortMovement]]
    allocated: Sequence[tuple[Of, Allocated]]


async def standing(db: AsyncConnection, *, period_id: int) -> Standing:
    """Return where a closed period's liabilities stand.

    Raises what `hub.accounting.reckon.reckon` raises while it is not recognised, and NotFound.
    """
    period = await period_by_id(db, period_id)
    opening = list((await states_before(db, period)).values())
    known = await db.scalar(
        text("SELECT 1 FROM recognition WHERE period_id = :id"), {"id": period_id}
    )
    if known:
        return Standing(
            period=period,
            recognised=True,
            opening=opening,
            closing=await states_of(db, period_id=period_id),
            movements=await _movements(db, period_id),
            allocated=await _allocated(db, period_id),
        )
    reckoned = await reckon(db, period=period)
    return Standing(
        period=period,
        recognised=False,
        opening=opening,
        closing=[one.recognised.state for one in reckoned],
        movements=[(one.of, m) for one in reckoned for m in one.recognised.movements],
        allocated=[(one.of, one.allocated) for one in reckoned if one.allocated],
    )


async def states_of(db: AsyncConnection, *, period_id: int) -> list[CohortState]:
    """Return how each cohort stands at the end of a recognised period."""
    rows = await db.execute(
        text("""
          SELECT issuer_id, owner_id, unit, cohort, currency, issued, redeemed, outstanding, rate,
            allocated, liability
          FROM liability_cohort WHERE period_id = :id ORDER BY issuer_id, unit, cohort"""),
        {"id": period_id},
    )
    return [CohortState(**row._asdict()) for row in rows]


async def _movements(db: AsyncConnection, period_id: int) -> list[tuple[Of, CohortMovement]]:
    rows = await db.execute(
        text("""
          SELECT issuer_id, owner_id, unit, cohort, currency, kind, points, amount, partner_points,
            partner_amount
          FROM liability_movement WHERE period_id = :id ORDER BY issuer_id, unit, cohort, kind"""),
        {"id": period_id},
    )
    return [
        (
            _of(row),
            CohortMovement(
                kind=MovementKind(row.kind),
                points=row.points,
                amount=row.amount,
                partner_points=row.partner_points,
                partner_amount=row.partner_amount,
            ),
        )
        for row in rows
    ]


async def _allocated(db: AsyncConnection, period_id: int) -> list[tuple[Of, Allocated]]:
    rows = await db.execute(
        text("""
          SELECT issuer_id, owner_id, unit, cohort, currency, points, clawed_back, price, to_points,
            refunded, refunded_to_points
          FROM price_allocation WHERE period_id = :id ORDER BY issuer_id, unit, cohort"""),
        {"id": period_id},
    )
    return [
        (
            _of(row),
            Allocated(
                points=row.points,
                clawed_back=row.clawed_back,
                price=row.price,
                to_points=row.to_points,
                refunded=row.refunded,
                refunded_to_points=row.refunded_to_points,
            ),
        )
        for row in rows
    ]


def _of(row: Row[Any]) -> Of:
    return Of(
        issuer_id=row.issuer_id,
        owner_id=row.owner_id,
        unit=row.unit,
        cohort=row.cohort,
        currency=row.currency,
    )


def summed(amounts: Sequence[Decimal]) -> Decimal:
    """Return the exact sum of amounts."""
    return sum(amounts, Decimal(0))
