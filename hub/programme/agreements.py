"""Reads of agreements: every version, with its rates and taxes."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRate:
    """A price for an award or a category, or from an occupancy on: per point, or for the whole."""

    award: str | None
    category: str | None
    from_percent: int | None
    rate_per_point: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementTax:
    """How lines of a kind (hub.settlement.codes) are taxed; `tax_rate` is a fraction."""

    kind: int
    tax_code: str
    tax_rate: Decimal
    tax_included: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A version, in force from `effective_from` until before `superseded_on`, if there is one."""

    agreement_id: int
    issuer_id: int
    acceptor_id: int
    effective_from: date
    superseded_on: date | None
    basis: str
    rate_per_point: Decimal | None
    currency: str
    breakage_owner: str | None
    occupancy_required: bool
    cap_points: int | None
    cap_amount: Decimal | None
    credit_limit: Decimal | None
    alert_percent: int
    on_limit: str
    prefund_per_point: Decimal | None
    rates: tuple[AgreementRate, ...]
    taxes: tuple[AgreementTax, ...]


async def agreements(db: AsyncConnection, *, business_id: int | None = None) -> list[Agreement]:
    """Return all versions, or those that a business is a side of; by pair, the oldest first."""
    rates: dict[int, list[AgreementRate]] = defaultdict(list)
    for row in await db.execute(
        text("""
          SELECT agreement_id, award, category, from_percent, rate_per_point, amount
          FROM agreement_rate ORDER BY agreement_id, award, category, from_percent""")
    ):
        facts = row._asdict()
        rates[facts.pop("agreement_id")].append(AgreementRate(**facts))
    taxes: dict[int, list[AgreementTax]] = defaultdict(list)
    for row in await db.execute(
        text("""
          SELECT agreement_id, kind, tax_code, tax_rate, tax_included FROM agreement_tax
          ORDER BY agreement_id, kind""")
    ):
        facts = row._asdict()
        taxes[facts.pop("agreement_id")].append(AgreementTax(**facts))
    rows = await db.execute(
        text("""
          SELECT agreement_id, issuer_id, acceptor_id, effective_from,
            lead(effective_from) OVER (
              PARTITION BY issuer_id, acceptor_id ORDER BY effective_from) AS superseded_on,
            basis, rate_per_point, currency, breakage_owner, occupancy_required, cap_points,
            cap_amount, credit_limit, alert_percent, on_limit, prefund_per_point
          FROM agreement
          WHERE CAST(:business_id AS smallint) IS NULL
            OR CAST(:business_id AS smallint) IN (issuer_id, acceptor_id)
          ORDER BY issuer_id, acceptor_id, effective_from"""),
        {"business_id": business_id},
    )
    return [
        Agreement(
            **row._asdict(),
            rates=tuple(rates[row.agreement_id]),
            taxes=tuple(taxes[row.agreement_id]),
        )
        for row in rows
    ]
