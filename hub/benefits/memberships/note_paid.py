"""Note a payment: it starts a plan, or renews it."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.facts import Said, Source, add, lock_memberships, lock_payment
from hub.benefits.memberships.plans import plan_at
from hub.errors import Malformed


async def note_paid(
    db: AsyncConnection,
    *,
    member_id: int,
    plan_code: str,
    amount_minor: int,
    currency: str,
    source: Source,
    source_id: str,
    paid_at: datetime,
    day: date,
    now: datetime,
    actor: str | None = None,
    taken_by: int | None = None,
) -> bool:
    """Take it that one period was paid for on `day`; returns whether that is news.

    Early, it extends; within the days of grace it leaves no gap; else the period begins on `day`.
    `taken_by` is the business that took the money: where another sells the plan, it is owed.
    Less than the plan's price is a price that the seller has lowered: what was paid is what counts.
    Raises NotFound, Conflict, and Malformed for another currency than the plan's.
    """
    plan = await plan_at(db, code=plan_code, at=paid_at)
    if currency != plan.currency:
        raise Malformed(f"plan {plan.code} is sold in {plan.currency}", field="currency")
    await lock_payment(db, source=source, payment=source_id)
    await lock_memberships(db, member_ids=[member_id])
    return await add(
        db,
        Said(
            kind="paid", source=source, source_id=source_id, occurred_at=paid_at, day=day,
            member_id=member_id, plan_id=plan.plan_id, amount_minor=amount_minor,
            currency=currency, actor=actor,
            taken_by=taken_by,
        ),
        now=now,
    )  # fmt: skip
