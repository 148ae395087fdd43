"""Start a trial: a plan's days for nothing, once in a member's life."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.facts import Said, add, find_fact, lock_memberships
from hub.benefits.memberships.plans import plan_at
from hub.errors import Rejected


async def start_trial(
    db: AsyncConnection,
    *,
    member_id: int,
    plan_code: str,
    source_id: str,
    today: date,
    now: datetime,
    actor: str | None = None,
) -> bool:
    """Begin the trial today; returns whether it is new (the same request again is not).

    Rejected when the plan has none, or the member, be it as somebody since merged, has tried it or
    paid for it before. Raises NotFound and Conflict.
    """
    plan = await plan_at(db, code=plan_code, at=now)
    await lock_memberships(db, member_ids=[member_id])
    said = Said(
        kind="trial", source="api", source_id=source_id, occurred_at=now, day=today,
        member_id=member_id, plan_id=plan.plan_id, actor=actor,
    )  # fmt: skip
    if await find_fact(db, said):
        return False
    if not plan.trial_days:
        raise Rejected(f"plan {plan.code} has no trial", field="plan")
    if await db.scalar(
        text("""
          SELECT EXISTS (SELECT 1 FROM membership_fact
            WHERE :member_id IN (member_id, birth_member_id) AND plan_id = :plan_id
              AND kind IN ('trial', 'paid'))"""),
        {"member_id": member_id, "plan_id": plan.plan_id},
    ):
        raise Rejected("a trial is for whoever has not had the plan before", field="plan")
    return await add(db, said, now=now)
