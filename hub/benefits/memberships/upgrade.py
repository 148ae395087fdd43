"""Upgrade: one plan ends, another begins, and what was not used of the one is paid of the other."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.cancel import has_now, used_minor
from hub.benefits.memberships.chain import Fact, chain
from hub.benefits.memberships.facts import Said, add, facts_of, find_fact, lock_memberships
from hub.benefits.memberships.plans import plan_at
from hub.errors import Malformed, Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """What an upgrade came to: of the new plan's price `credit_minor` was paid before."""

    credit_minor: int
    paid_minor: int
    currency: str
    replayed: bool


async def upgrade(
    db: AsyncConnection,
    *,
    member_id: int,
    from_plan: str,
    to_plan: str,
    paid_minor: int,
    source_id: str,
    today: date,
    now: datetime,
    actor: str | None = None,
) -> Upgraded:
    """End `from_plan` and begin `to_plan`, both today.

    The credit is what a cancellation today would give back, at most the new plan's price; the rest
    of the price must be what was paid (`paid_minor`), else Rejected says how much is to pay. What
    is left of the credit is due back. Raises NotFound, Conflict, and Malformed for plans in two
    currencies or one plan twice.
    """
    old = await plan_at(db, code=from_plan, at=now)
    new = await plan_at(db, code=to_plan, at=now)
    if old.plan_id == new.plan_id or old.currency != new.currency:
        raise Malformed("an upgrade is to another plan in the same currency", field="to_plan")
    await lock_memberships(db, member_ids=[member_id])
    said = Said(
        kind="paid", source="api", source_id=f"{source_id}:to", occurred_at=now, day=today,
        member_id=member_id, plan_id=new.plan_id, amount_minor=paid_minor, currency=new.currency,
        actor=actor,
    )  # fmt: skip
    if await find_fact(db, said):
        return await _as_before(db, said)
    if not await has_now(db, member_id=member_id, plan_id=old.plan_id, today=today):
        raise Rejected(f"the member does not have plan {old.code} now", field="from_plan")
    deduct = await used_minor(db, member_id=member_id, plan=old, today=today)
    left = Said(
        kind="upgraded", source="api", source_id=f"{source_id}:from", occurred_at=now, day=today,
        member_id=member_id, plan_id=old.plan_id, deduct_minor=deduct, currency=old.currency,
        actor=actor,
    )  # fmt: skip
    credit = min(new.price_minor, await _due(db, left))
    if paid_minor != new.price_minor - credit:
        raise Rejected(
            f"{credit} of the price of {new.price_minor} was paid before: "
            f"{new.price_minor - credit} is to pay",
            field="paid_minor",
            due_minor=new.price_minor - credit,
        )
    await add(db, replace(left, amount_minor=credit), now=now)
    await add(db, replace(said, credit_minor=credit), now=now)
    return Upgraded(
        credit_minor=credit, paid_minor=paid_minor, currency=new.currency, replayed=False
    )


async def _due(db: AsyncConnection, said: Said) -> int:
    """Return what would be due back if the plan ended so."""
    if said.member_id is None or said.plan_id is None:
        raise RuntimeError("an upgrade is of a member's plan")
    facts = (await facts_of(db, member_ids=[said.member_id]))[said.member_id, said.plan_id]
    ended = Fact(
        fact_id=0, kind="cancelled", day=said.day, name=said.source_id,
        deduct_minor=said.deduct_minor,
    )  # fmt: skip
    return sum(
        after.refund_minor - max(term.refund_minor, term.refunded_minor)
        for term, after in zip(chain(facts), chain([*facts, ended]), strict=True)
        if after.refund_minor != term.refund_minor
    )


async def _as_before(db: AsyncConnection, said: Said) -> Upgraded:
    credit: int = await db.scalar(
        text("""
          SELECT credit_minor FROM membership_fact
          WHERE source = :source AND source_id = :source_id"""),
        {"source": said.source, "source_id": said.source_id},
    )
    return Upgraded(
        credit_minor=credit,
        paid_minor=said.amount_minor,
        currency=said.currency or "",
        replayed=True,
    )
