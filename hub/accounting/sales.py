"""Points that were sold at issue: by whom, and what was paid for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.movements import MovementKind

CohortKey = tuple[int, int, date]
"""Issuer, unit and cohort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """Who sells an issuer its points, of cohorts from `effective_from` to before `superseded_on`.

    `refundable`: the price of points that expire is given back to the issuer.
    """

    issuer_id: int
    company_id: int
    effective_from: date
    superseded_on: date
    refundable: bool


async def sales(db: AsyncConnection) -> list[Sale]:
    """Return all that was agreed, by issuer and date."""
    rows = await db.execute(
        text("""
          SELECT issuer_id, company_id, effective_from, superseded_on,
            breakage_owner = 'issuer' AS refundable
          FROM point_sale ORDER BY issuer_id, effective_from""")
    )
    return [Sale(**row._asdict()) for row in rows]


def sold(agreed: Sequence[Sale], *, issuer_id: int, cohort: date) -> Sale | None:
    """Return under which agreement a cohort was sold; None where its issuer owes it.

    A cohort is sold as a whole: selling begins and ends with a month.
    """
    for one in agreed:
        if one.issuer_id == issuer_id and one.effective_from <= cohort < one.superseded_on:
            return one
    return None


async def paid_in(
    db: AsyncConnection, *, period_id: int
) -> dict[CohortKey, dict[MovementKind, Decimal]]:
    """Return what a closed period's lines say was paid for each cohort, by what moved."""
    paid: dict[CohortKey, dict[MovementKind, Decimal]] = {}
    for row in await db.execute(
        text("SELECT issuer_id, unit, cohort, kind, amount FROM period_sale WHERE period_id = :id"),
        {"id": period_id},
    ):
        by_kind = paid.setdefault((row.issuer_id, row.unit, row.cohort), {})
        by_kind[MovementKind(row.kind)] = row.amount
    return paid
