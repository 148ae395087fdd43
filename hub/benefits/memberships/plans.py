"""Plans: what a group's file says of paid membership, kept as dated terms."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.configure import refuse_benefits
from hub.errors import Conflict, NotFound
from hub.points.checks import MOST_POINTS
from hub.programme.queries import business_by_code
from hub.programme.versions import CODE, CURRENCY
from hub.units import MOST_MINOR, exponent


class PlanGrant(BaseModel):
    """Uses of a benefit that each paid period grants."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    benefit: str = Field(pattern=CODE)
    quantity: int = Field(ge=1, le=10_000)


class PlanVoucher(BaseModel):
    """Vouchers of a campaign that each paid period gives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    campaign: str = Field(pattern=CODE)
    quantity: int = Field(default=1, ge=1, le=100)


class PlanSeller(BaseModel):
    """A business that sells the plan for its seller, and keeps so much of what is paid."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    business: str = Field(pattern=CODE)
    commission_percent: Decimal = Field(default=Decimal(0), ge=0, lt=100, decimal_places=2)


class PlanConfig(BaseModel):
    """A version of a plan: `price_minor` (minor units of `currency`) for one period.

    `seller` sells it; unsaid, the group does. A trial grants nothing but its days. Whoever pays
    within `grace_days` of the end goes on without a gap. `refund` says what a cancellation gives
    back; with `deduct_used`, less what was used of benefits and vouchers at their price to the
    funder. Whoever of `sold_at` takes the money owes it to the seller, less its commission. The
    `tier` is the member's for as long as periods are paid for. Each paid period gives,
    from its first day on, `points` of `points_issuer` (unsaid: of the seller) and `vouchers`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=CODE)
    effective_from: AwareDatetime
    name: str
    name_zh: str
    seller: str | None = None
    price_minor: int = Field(ge=1, le=MOST_MINOR)
    currency: str = Field(pattern=CURRENCY)
    period: Literal["month", "quarter", "year", "days"]
    period_days: int | None = Field(default=None, ge=1, le=3660)
    trial_days: int = Field(default=0, ge=0, le=366)
    grace_days: int = Field(default=0, ge=0, le=366)
    refund: Literal["pro_rata", "none"] = "pro_rata"
    deduct_used: bool = False
    grants: tuple[PlanGrant, ...] = ()
    tier: str | None = Field(default=None, pattern=CODE)
    points: int | None = Field(default=None, gt=0, le=MOST_POINTS)
    points_issuer: str | None = Field(default=None, pattern=CODE)
    vouchers: tuple[PlanVoucher, ...] = ()
    sold_at: tuple[PlanSeller, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.period == "days") != (self.period_days is not None):
            raise ValueError("period_days goes with the period of days, and with no other")
        if self.points is None and self.points_issuer is not None:
            raise ValueError("points_issuer goes with points")
        if self.points is not None and (self.points_issuer or self.seller) is None:
            raise ValueError("points of a plan that the group sells need a points_issuer")
        campaigns = [one.campaign for one in self.vouchers]
        if len(set(campaigns)) != len(campaigns):
            raise ValueError("vouchers names a campaign twice: say its quantity")
        sellers = [one.business for one in self.sold_at]
        if self.sold_at and (self.seller is None or len({self.seller, *sellers}) <= len(sellers)):
            raise ValueError("sold_at names others than the plan's seller, each once")
        exponent(self.currency)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan as it is sold at a moment."""

    plan_id: int
    code: str
    seller_id: int | None
    name: str
    name_zh: str
    price_minor: int
    currency: str
    period: str
    period_days: int | None
    trial_days: int
    grace_days: int
    refund: str
    deduct_used: bool
    grants: list[dict[str, Any]]
    tier: str | None
    points: int | None
    issuer_id: int | None
    vouchers: list[dict[str, Any]]
    sold_at: list[dict[str, Any]]

    def kept_by(self, business_id: int) -> bool:
        """Say whether a business sells the plan, be it for another."""
        return business_id in (self.seller_id, *(one["business_id"] for one in self.sold_at))


async def configure_plans(db: AsyncConnection, *, plans: Sequence[PlanConfig]) -> None:
    """Make the plans what the rows say. The same again changes nothing.

    Raises Conflict, naming the field, when terms that exist would have to be edited, NotFound for a
    business, a benefit or a campaign that is not configured.
    """
    for plan in plans:
        await _known(db, plan)
        seller_id = None
        if plan.seller is not None:
            seller_id = (await business_by_code(db, plan.seller)).business_id
        stored = (
            await db.execute(
                text("""
                  WITH made AS (
                    INSERT INTO membership_plan (code, seller_id) VALUES (:code, :seller_id)
                    ON CONFLICT (code) DO NOTHING RETURNING plan_id, seller_id)
                  SELECT * FROM made
                  UNION ALL SELECT plan_id, seller_id FROM membership_plan WHERE code = :code
                  LIMIT 1"""),
                {"code": plan.code, "seller_id": seller_id},
            )
        ).one()
        if stored.seller_id != seller_id:
            raise Conflict(f"plan {plan.code} keeps who sells it", field="seller")
        await _keep(db, stored.plan_id, plan)


async def _known(db: AsyncConnection, plan: PlanConfig) -> None:
    """Raise NotFound for a benefit or a campaign that is not configured."""
    for grant in plan.grants:
        if not await db.scalar(
            text("SELECT EXISTS (SELECT 1 FROM benefit WHERE code = :code)"),
            {"code": grant.benefit},
        ):
            raise NotFound(f"there is no benefit {grant.benefit!r}", field="grants")
    for voucher in plan.vouchers:
        if not await db.scalar(
            text("SELECT EXISTS (SELECT 1 FROM voucher_campaign WHERE code = :code)"),
            {"code": voucher.campaign},
        ):
            raise NotFound(f"there is no campaign {voucher.campaign!r}", field="vouchers")
        await refuse_benefits(db, code=voucher.campaign, field="vouchers")


_DOCUMENTS = ("grants", "vouchers", "sold_at")


async def _keep(db: AsyncConnection, plan_id: int, plan: PlanConfig) -> None:
    terms = plan.model_dump(
        mode="json",
        exclude={"code", "seller", "effective_from", "tier", "points_issuer", "sold_at"},
    )
    terms["tier_id"] = await _tier_id(db, plan.tier)
    issuer = plan.points_issuer or plan.seller
    terms["issuer_id"] = None
    if plan.points is not None and issuer is not None:
        terms["issuer_id"] = (await business_by_code(db, issuer)).with_a_shop().business_id
    terms["sold_at"] = [
        {
            "business_id": (await business_by_code(db, one.business)).business_id,
            "commission": str((one.commission_percent / 100).normalize()),
        }
        for one in plan.sold_at
    ]
    names = ", ".join(terms)
    marks = ", ".join(f"CAST(:{n} AS jsonb)" if n in _DOCUMENTS else f":{n}" for n in terms)
    at = {"plan_id": plan_id, "effective_from": plan.effective_from}
    await db.execute(
        text(f"""
          INSERT INTO membership_plan_terms (plan_id, effective_from, {names})
          VALUES (:plan_id, :effective_from, {marks})
          ON CONFLICT (plan_id, effective_from) DO NOTHING"""),  # noqa: S608 - names of ours
        {**at, **terms, **{name: json.dumps(terms[name]) for name in _DOCUMENTS}},
    )
    stored = (
        await db.execute(
            text(f"""
              SELECT {names} FROM membership_plan_terms
              WHERE plan_id = :plan_id AND effective_from = :effective_from"""),  # noqa: S608
            at,
        )
    ).one()
    for name, value in terms.items():
        if getattr(stored, name) != value:
            raise Conflict(
                f"the terms of {plan.effective_from} are in force and cannot be edited: give the "
                "new ones their own effective_from",
                field={"issuer_id": "points_issuer"}.get(name, name.removesuffix("_id")),
            )


async def _tier_id(db: AsyncConnection, tier: str | None) -> int | None:
    if tier is None:
        return None
    found: int | None = await db.scalar(
        text("SELECT tier_id FROM tier WHERE code = :code"), {"code": tier}
    )
    if found is None:
        raise NotFound(f"there is no tier {tier!r}", field="tier")
    return found


_PLANS = """
SELECT DISTINCT ON (p.plan_id) p.plan_id, p.code, p.seller_id, t.name, t.name_zh, t.price_minor,
  t.currency, t.period, t.period_days, t.trial_days, t.grace_days, t.refund, t.deduct_used,
  t.grants, tier.code AS tier, t.points, t.issuer_id, t.vouchers, t.sold_at
FROM membership_plan p JOIN membership_plan_terms t USING (plan_id)
LEFT JOIN tier USING (tier_id)
WHERE t.effective_from <= :at {which} ORDER BY p.plan_id, t.effective_from DESC"""


async def plans_at(db: AsyncConnection, *, at: datetime) -> list[Plan]:
    """Return the plans in force at `at`."""
    rows = await db.execute(text(_PLANS.format(which="")), {"at": at})
    return [Plan(**row._asdict()) for row in rows]


async def plan_at(db: AsyncConnection, *, code: str, at: datetime) -> Plan:
    """Return the plan called `code` as it was sold at `at`; raises NotFound."""
    rows = await db.execute(
        text(_PLANS.format(which="AND p.code = :code")), {"at": at, "code": code}
    )
    row = rows.first()
    if row is None:
        raise NotFound(f"there is no plan {code!r} with terms in force", field="plan")
    return Plan(**row._asdict())
