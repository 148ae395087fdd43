"""Reckon: what a closed period's flows make of every cohort, under what is in force for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.estimates import estimates, rate_in_force
from hub.accounting.flows import cohort_flows
from hub.accounting.movements import CohortState, MovementKind
from hub.accounting.policies import AccountingPolicy, in_force, policies
from hub.accounting.portfolios import pooled
from hub.accounting.recognition import CohortFlow, CohortTerms, Recognised, recognise_cohort
from hub.accounting.sales import CohortKey, Sale, paid_in, sales, sold
from hub.errors import Rejected
from hub.programme.queries import businesses
from hub.settlement.queries import Period

NOTHING = CohortFlow()


@dataclass(frozen=True, slots=True, kw_only=True)
class Of:
    """Whose cohort something is of."""

    issuer_id: int
    owner_id: int
    unit: int
    cohort: date
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated:
    """What a period's sales and refunds say of a cohort; exact, in major units."""

    points: int
    clawed_back: int
    price: Decimal
    to_points: Decimal
    refunded: Decimal
    refunded_to_points: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoned:
    """What a period makes of a cohort, and the flow that it follows from."""

    flow: CohortFlow
    recognised: Recognised

    @property
    def of(self) -> Of:
        """Return whose cohort it is."""
        state = self.recognised.state
        return Of(
            issuer_id=state.issuer_id,
            owner_id=state.owner_id,
            unit=state.unit,
            cohort=state.cohort,
            currency=state.currency,
        )

    @property
    def allocated(self) -> Allocated | None:
        """Return how the price was shared; None where nothing was sold and nothing clawed back."""
        points = self.flow.points.get(MovementKind.DEFERRED, 0)
        taken = [m for m in self.recognised.movements if m.kind is MovementKind.CLAWBACK]
        if not points and not taken and not self.flow.refunded:
            return None
        return Allocated(
            points=points,
            clawed_back=-sum(m.points for m in taken),
            price=self.flow.price,
            to_points=self.recognised.to_points,
            refunded=self.flow.refunded,
            refunded_to_points=-sum((m.amount for m in taken), Decimal(0)),
        )


async def reckon(db: AsyncConnection, *, period: Period) -> list[Reckoned]:
    """Return what the period makes of each cohort, by issuer, unit and cohort.

    Raises Rejected when the period is not closed, when the one before it is not recognised, or
    when something that it needs was not said: it names all of it.
    """
    await _in_its_turn(db, period)
    versions, agreed = await policies(db), await sales(db)
    found = await cohort_flows(db, period_id=period.period_id)
    flows = pooled(found, versions=versions, agreed=agreed)
    before = await states_before(db, period)
    cohorts = sorted({*flows, *before})
    chosen = {
        cohort: in_force(versions, issuer_id=cohort[0], unit=cohort[1], cohort=cohort[2])
        for cohort in cohorts
    }
    owners = _owners(agreed, cohorts, before)
    paid = await paid_in(db, period_id=period.period_id)
    for cohort, (owner_id, _) in owners.items():
        if owner_id != cohort[0]:
            flows[cohort] = _sold(flows.get(cohort, NOTHING), paid.get(cohort, {}))
    terms = await _terms(db, period=period, chosen=chosen, owners=owners, flows=flows)
    return [
        Reckoned(
            flow=flows.get(cohort, NOTHING),
            recognised=recognise_cohort(
                before.get(cohort), flows.get(cohort, NOTHING), terms[cohort]
            ),
        )
        for cohort in cohorts
    ]


async def _in_its_turn(db: AsyncConnection, period: Period) -> None:
    frozen = await db.scalar(
        text("SELECT 1 FROM period_frozen WHERE period_id = :id"), {"id": period.period_id}
    )
    if not frozen or period.state in ("open", "closing"):
        raise Rejected(
            f"period {period.code} was not closed, or before liabilities were kept: there is "
            "nothing of it to recognise",
            period=period.code,
        )
    earlier: str | None = await db.scalar(
        text("""
          SELECT code FROM settlement_period JOIN period_frozen USING (period_id)
          WHERE ends_on < :starts_on
            AND NOT EXISTS (SELECT 1 FROM recognition r WHERE r.period_id = period_frozen.period_id)
          ORDER BY ends_on LIMIT 1"""),
        {"starts_on": period.starts_on},
    )
    if earlier is not None:
        raise Rejected(
            f"period {earlier} is not recognised yet: recognise it first", period=earlier
        )


async def states_before(db: AsyncConnection, period: Period) -> dict[CohortKey, CohortState]:
    """Return how each cohort stood at the end of the last period recognised before this one."""
    rows = await db.execute(
        text("""
          SELECT issuer_id, owner_id, unit, cohort, currency, issued, redeemed, outstanding, rate,
            allocated, liability
          FROM liability_cohort WHERE period_id = (
            SELECT period_id FROM recognition JOIN settlement_period USING (period_id)
            WHERE ends_on < :starts_on ORDER BY ends_on DESC LIMIT 1)"""),
        {"starts_on": period.starts_on},
    )
    states = [CohortState(**row._asdict()) for row in rows]
    return {(state.issuer_id, state.unit, state.cohort): state for state in states}


Owners = Mapping[CohortKey, tuple[int, Sale | None]]
"""Who owes each cohort, and under which agreement it was sold, if it was."""


def _owners(
    agreed: Sequence[Sale],
    cohorts: Sequence[CohortKey],
    before: Mapping[CohortKey, CohortState],
) -> Owners:
    """Return who owes each cohort: who sold it at issue, else its issuer. It never changes."""
    owners = {}
    for cohort in cohorts:
        sale = sold(agreed, issuer_id=cohort[0], cohort=cohort[2])
        owner_id = cohort[0] if sale is None else sale.company_id
        owners[cohort] = before[cohort].owner_id if cohort in before else owner_id, sale
    return owners


def _sold(flow: CohortFlow, paid: Mapping[MovementKind, Decimal]) -> CohortFlow:
    """Return a cohort's flow as its owner sees it, who has no shop: all is redeemed elsewhere."""
    away = (MovementKind.REDEEMED, MovementKind.REINSTATED)
    return replace(
        flow, paid=paid, partner={kind: flow.points[kind] for kind in away if kind in flow.points}
    )


async def _terms(
    db: AsyncConnection,
    *,
    period: Period,
    chosen: Mapping[CohortKey, AccountingPolicy | None],
    owners: Owners,
    flows: Mapping[CohortKey, CohortFlow],
) -> dict[CohortKey, CohortTerms]:
    """Return how each cohort is accounted for; raises Rejected naming all that was not said."""
    known = {b.business_id: b for b in await businesses(db)}
    approved = await estimates(db, state="approved")
    opening = await _openings(db, flows)
    missing: set[str] = set()
    found: dict[CohortKey, CohortTerms] = {}
    for (issuer_id, unit, cohort), policy in chosen.items():
        code = known[issuer_id].code
        rate = rate_in_force(
            approved, issuer_id=issuer_id, unit=unit, cohort=cohort, on=period.ends_on
        )
        owner_id, sale = owners[issuer_id, unit, cohort]
        refundable = sale is not None and sale.refundable
        if refundable:
            rate = Decimal(1)
        if policy is None and owner_id == issuer_id:
            missing.add(f"{code} has no accounting policy (`hub accounting policy`)")
        if rate is None:
            missing.add(
                f"{code} has no approved estimate of redemption in force on {period.ends_on} "
                "(`hub accounting propose`, then `approve`)"
            )
        if rate is None or (policy is None and owner_id == issuer_id):
            continue
        found[issuer_id, unit, cohort] = CohortTerms(
            issuer_id=issuer_id,
            owner_id=owner_id,
            unit=unit,
            cohort=cohort,
            currency=known[issuer_id].currency,
            rate=rate,
            point_value=Decimal(0) if policy is None else policy.point_value,
            goods_discount=Decimal(0) if policy is None else policy.goods_discount,
            least_share=Decimal(0) if policy is None else policy.least_share,
            refundable=refundable,
            brought_liability=opening.get((issuer_id, unit, cohort)),
        )
    if missing:
        raise Rejected(
            f"period {period.code} cannot be recognised: {'; '.join(sorted(missing))}",
            period=period.code,
        )
    return found


async def _openings(
    db: AsyncConnection, flows: Mapping[CohortKey, CohortFlow]
) -> dict[CohortKey, Decimal]:
    """Share each stated opening liability over the points that first came in, evenly.

    Each share is of what the ones before have left, so that together they are the whole.
    """
    stated = await db.execute(
        text("""
          SELECT issuer_id, unit, amount FROM opening_liability o
          WHERE NOT EXISTS (SELECT 1 FROM liability_movement m
            WHERE (m.issuer_id, m.unit, m.kind) = (o.issuer_id, o.unit, 'brought_in'))""")
    )
    shared: dict[CohortKey, Decimal] = {}
    for row in stated:
        brought = {
            cohort: flow.points[MovementKind.BROUGHT_IN]
            for cohort, flow in sorted(flows.items())
            if cohort[:2] == (row.issuer_id, row.unit)
            and flow.paid is None
            and flow.points.get(MovementKind.BROUGHT_IN, 0) > 0
        }
        points, left = sum(brought.values()), row.amount
        for cohort, n in brought.items():
            share = (left * n / points).quantize(Decimal("1e-12"))
            shared[cohort] = share
            points, left = points - n, left - share
    return shared
