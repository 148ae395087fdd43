"""Cancel a plan: it ends today, and what is not used of what was paid is due back."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.facts import Said, add, find_fact, lock_memberships
from hub.benefits.memberships.plans import Plan, plan_at
from hub.errors import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """What a cancellation came to: `refund_minor` of what was paid is due back."""

    refund_minor: int
    currency: str
    replayed: bool


async def cancel(
    db: AsyncConnection,
    *,
    member_id: int,
    plan_code: str,
    source_id: str,
    today: date,
    now: datetime,
    reason: str | None = None,
    actor: str | None = None,
) -> Cancelled:
    """End the member's plan today, which is used; later periods are void.

    Due back is, of each period, what was paid in proportion to its days that are not used, rounded
    down to the minor unit; by the plan's terms less what was used of its benefits, or nothing. The
    money itself is given back where it was paid. Rejected when the member does not have the plan
    now. Raises NotFound and Conflict.
    """
    plan = await plan_at(db, code=plan_code, at=now)
    await lock_memberships(db, member_ids=[member_id])
    said = Said(
        kind="cancelled", source="api", source_id=source_id, occurred_at=now, day=today,
        member_id=member_id, plan_id=plan.plan_id, reason=reason, actor=actor,
        deduct_minor=await used_minor(db, member_id=member_id, plan=plan, today=today),
    )  # fmt: skip
    replayed = await find_fact(db, said)
    if not replayed:
        if not await has_now(db, member_id=member_id, plan_id=plan.plan_id, today=today):
            raise Rejected(f"the member does not have plan {plan.code} now", field="plan")
        await add(db, said, now=now)
    return Cancelled(
        refund_minor=await due_minor(db, member_id=member_id, plan_id=plan.plan_id),
        currency=plan.currency,
        replayed=replayed,
    )


async def has_now(db: AsyncConnection, *, member_id: int, plan_id: int, today: date) -> bool:
    """Return whether the member has the plan today, or paid for days to come."""
    found: bool = await db.scalar(
        text("""
          SELECT EXISTS (SELECT 1 FROM membership_term WHERE member_id = :member_id
            AND plan_id = :plan_id AND ends_on >= greatest(starts_on, :today))"""),
        {"member_id": member_id, "plan_id": plan_id, "today": today},
    )
    return found


async def due_minor(db: AsyncConnection, *, member_id: int, plan_id: int) -> int:
    """Return what is due back to the member for a plan and was not given back yet."""
    found: int = await db.scalar(
        text("""
          SELECT coalesce(sum(greatest(0, refund_minor - refunded_minor)), 0)::bigint
          FROM membership_term WHERE member_id = :member_id AND plan_id = :plan_id"""),
        {"member_id": member_id, "plan_id": plan_id},
    )
    return found


async def used_minor(db: AsyncConnection, *, member_id: int, plan: Plan, today: date) -> int:
    """Return what was used of benefits and vouchers of periods that go on, as funders pay it."""
    if not plan.deduct_used:
        return 0
    found: int = await db.scalar(
        text("""
          WITH term AS (
            SELECT fact_id FROM membership_term
            WHERE member_id = :member_id AND plan_id = :plan_id AND ends_on >= :today
          ), used AS (
            SELECT p.used * u.price_minor AS minor
            FROM term t
            JOIN entitlement e ON e.source = 'plan'
              AND e.source_id LIKE format('plan:%s:%%', t.fact_id)
            JOIN entitlement_use u ON u.outcome = 'used' AND u.currency = :currency
              AND u.benefit_id = e.benefit_id AND u.member_id IN (e.member_id, e.birth_member_id)
            JOIN LATERAL entitlement_parts(u.use_id) p ON p.entitlement_id = e.entitlement_id
            UNION ALL
            SELECT n.price_minor
            FROM term t JOIN membership_gift g USING (fact_id)
            JOIN voucher_entry n ON n.voucher_id = g.voucher_id
              AND n.kind IN ('redeemed', 'cancelled') AND n.currency = :currency
          )
          SELECT coalesce(sum(minor), 0)::bigint FROM used"""),
        {
            "member_id": member_id,
            "plan_id": plan.plan_id,
            "today": today,
            "currency": plan.currency,
        },
    )
    return found
