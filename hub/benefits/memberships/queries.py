"""Reads of paid membership: what members have, until when, and what is due back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.gifts import Given, gifts_of
from hub.clock import business_date


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A period that was paid for, or tried; void when it ends before it starts."""

    fact_id: int
    source_id: str
    starts_on: date
    ends_on: date
    full_ends_on: date
    trial: bool
    value_minor: int
    refund_minor: int
    refunded_minor: int
    currency: str
    gifts: list[Given]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A member's place in a plan: `trial`, `active`, `due` to begin, `grace`, or `ended`."""

    member_id: int
    plan_code: str
    name: str
    name_zh: str
    seller_id: int | None
    state: str
    starts_on: date
    ends_on: date
    refund_due_minor: int
    currency: str
    terms: list[Term]


async def memberships(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime, time_zone: str
) -> dict[int, list[Membership]]:
    """Return each member's plans by member id, with all their terms, oldest first."""
    today = business_date(now, time_zone)
    found: dict[int, list[Membership]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(
        text("""
          SELECT t.member_id, p.code, p.seller_id, v.name, v.name_zh, v.grace_days, t.fact_id,
            f.source_id, t.starts_on, t.ends_on, t.full_ends_on, t.trial, t.value_minor,
            t.refund_minor, t.refunded_minor, v.currency
          FROM membership_term t JOIN membership_fact f USING (fact_id)
          JOIN membership_plan p ON p.plan_id = t.plan_id
          JOIN LATERAL (SELECT * FROM membership_plan_terms v
            WHERE v.plan_id = t.plan_id AND v.effective_from <= f.occurred_at
            ORDER BY v.effective_from DESC LIMIT 1) v ON true
          WHERE t.member_id = ANY (CAST(:ids AS bigint[]))
          ORDER BY t.member_id, p.code, t.starts_on, t.fact_id"""),
        {"ids": list(member_ids)},
    )
    plans: dict[tuple[int, str], list[Row[Any]]] = {}
    for row in rows.all():
        plans.setdefault((row.member_id, row.code), []).append(row)
    fact_ids = [row.fact_id for of_plan in plans.values() for row in of_plan]
    gifts = await gifts_of(db, fact_ids=fact_ids) if fact_ids else {}
    for (member_id, _), of_plan in plans.items():
        found[member_id].append(_membership(member_id, of_plan, today, gifts))
    return found


def _membership(
    member_id: int, rows: Sequence[Row[Any]], today: date, gifts: Mapping[int, list[Given]]
) -> Membership:
    live = [row for row in rows if row.ends_on >= row.starts_on] or rows
    last = max(live, key=lambda row: row.ends_on)
    now_on = [row for row in live if row.starts_on <= today <= row.ends_on]
    whole = last.ends_on == last.full_ends_on
    if now_on:
        state = "trial" if now_on[0].trial else "active"
    elif last.starts_on > today and last.ends_on >= last.starts_on:
        state = "due"
    elif whole and not last.trial and 0 < (today - last.ends_on).days <= last.grace_days:
        state = "grace"
    else:
        state = "ended"
    names = [name for name in Term.__slots__ if name != "gifts"]
    return Membership(
        member_id=member_id,
        plan_code=last.code,
        name=last.name,
        name_zh=last.name_zh,
        seller_id=last.seller_id,
        state=state,
        starts_on=min(row.starts_on for row in live),
        ends_on=last.ends_on,
        refund_due_minor=sum(max(0, row.refund_minor - row.refunded_minor) for row in rows),
        currency=last.currency,
        terms=[
            Term(**{name: getattr(row, name) for name in names}, gifts=gifts[row.fact_id])
            for row in rows
        ],
    )
