"""Facts of paid membership: each is kept once, and what they come to is written anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.chain import Fact, Kind, chain
from hub.benefits.memberships.give_tiers import give_tiers
from hub.errors import Conflict, Malformed, NotFound
from hub.units import MOST_MINOR

Source = Literal["fact", "api"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A fact as it is told; `source_id` is its number where it is from, and makes it one.

    `taken_by` is the business that took the money, or gave it back.
    """

    kind: Kind
    source: Source
    source_id: str
    occurred_at: datetime
    day: date
    member_id: int | None = None
    plan_id: int | None = None
    amount_minor: int = 0
    credit_minor: int = 0
    deduct_minor: int = 0
    currency: str | None = None
    reference: str | None = None
    reason: str | None = None
    actor: str | None = None
    taken_by: int | None = None


# What makes two requests under one number the same: not when each of them came.
_SAME = ("kind", "plan_id", "amount_minor", "currency", "reference")


async def lock_memberships(db: AsyncConnection, *, member_ids: Sequence[int]) -> None:
    """Wait for whoever adds facts of these members' plans."""
    await db.execute(
        text("""
          SELECT pg_advisory_xact_lock(hashtextextended('membership', member_id))
          FROM (SELECT DISTINCT member_id FROM unnest(CAST(:ids AS bigint[])) AS m (member_id)
            ORDER BY member_id) AS ordered"""),
        {"ids": list(member_ids)},
    )


async def payers(db: AsyncConnection, *, source: Source, payments: Sequence[str]) -> list[int]:
    """Return who made those of the payments that are known."""
    found = await db.scalars(
        text("""
          SELECT DISTINCT member_id FROM membership_fact
          WHERE source = :source AND source_id = ANY (CAST(:payments AS text[]))
            AND kind = 'paid'"""),
        {"source": source, "payments": list(payments)},
    )
    return list(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment that is known, by its number with the hub."""

    member_id: int
    plan_code: str
    currency: str
    source: Source
    source_id: str


async def payment_of(db: AsyncConnection, *, fact_id: int) -> Payment | None:
    """Return a payment; None when there is none of that number."""
    row = (
        await db.execute(
            text("""
              SELECT f.member_id, p.code AS plan_code, f.currency, f.source, f.source_id
              FROM membership_fact f JOIN membership_plan p USING (plan_id)
              WHERE f.fact_id = :fact_id AND f.kind = 'paid'"""),
            {"fact_id": fact_id},
        )
    ).first()
    return None if row is None else Payment(**row._asdict())


async def lock_payment(db: AsyncConnection, *, source: Source, payment: str) -> None:
    """Wait for whoever notes this payment or a refund of it: neither must miss the other."""
    await db.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('payment:' || :name, 0))"),
        {"name": f"{source}:{payment}"},
    )


async def find_fact(db: AsyncConnection, said: Said) -> bool:
    """Return whether this fact was kept before; raises Conflict when another one was under it."""
    row = (
        await db.execute(
            text("""
              SELECT *, CASE WHEN :member_id IN (member_id, birth_member_id) THEN :member_id
                ELSE member_id END AS whose FROM membership_fact
              WHERE source = :source AND source_id = :source_id"""),
            {
                "source": said.source,
                "source_id": said.source_id,
                "member_id": said.member_id or 0,
            },
        )
    ).first()
    if row is None:
        return False
    for field in _SAME:
        if getattr(row, field) != getattr(said, field):
            raise Conflict(
                f"this number was used before for another request (its {field}: "
                f"{getattr(row, field)}): send that one again, or use a new one",
                field=field.removesuffix("_id"),
            )
    if said.member_id is not None and row.whose != said.member_id:
        raise Conflict("this number was used before for another member", field="member_id")
    return True


async def add(db: AsyncConnection, said: Said, *, now: datetime) -> bool:
    """Keep a fact and write anew what the member's plan comes to; returns whether it is new.

    The caller holds the member's lock. Raises Conflict, Malformed for an amount that cannot be, and
    NotFound for a member who is not there.
    """
    if not 0 <= said.amount_minor <= MOST_MINOR:
        raise Malformed("this is no amount that somebody pays", field="amount_minor")
    if await find_fact(db, said):
        return False
    if said.member_id is not None and not await db.scalar(
        text("SELECT EXISTS (SELECT 1 FROM member WHERE member_id = :id)"), {"id": said.member_id}
    ):
        raise NotFound(f"there is no member {said.member_id}", field="member_id")
    added = await db.scalar(
        text("""
          INSERT INTO membership_fact (kind, source, source_id, occurred_at, day, member_id,
            birth_member_id, plan_id, amount_minor, credit_minor, deduct_minor, currency, reference,
            reason, actor, taken_by)
          VALUES (:kind, :source, :source_id, :occurred_at, :day, :member_id, :member_id, :plan_id,
            :amount_minor, :credit_minor, :deduct_minor, :currency, :reference, :reason, :actor,
            :taken_by)
          ON CONFLICT (source, source_id) DO NOTHING RETURNING fact_id"""),
        {name: getattr(said, name) for name in Said.__slots__},
    )
    if added is None:
        return not await find_fact(db, said)
    if said.member_id is not None:
        await settle(db, member_ids=[said.member_id], now=now)
    return True


# A refund is of whatever member and plan its payment is of.
_FACTS = text("""
SELECT coalesce(f.member_id, paid.member_id) AS member_id, coalesce(f.plan_id, paid.plan_id)
    AS plan_id, f.fact_id, f.kind, f.day, f.source || ':' || f.source_id AS name,
  f.amount_minor + f.credit_minor AS value_minor, f.deduct_minor,
  f.source || ':' || f.reference AS reference, t.period, t.period_days, t.trial_days, t.grace_days,
  t.refund = 'pro_rata' AS refundable
FROM membership_fact f
LEFT JOIN membership_fact paid ON paid.source = f.source AND paid.source_id = f.reference
  AND paid.kind = 'paid' AND paid.currency = f.currency
JOIN LATERAL (SELECT * FROM membership_plan_terms t
  WHERE t.plan_id = coalesce(f.plan_id, paid.plan_id) AND t.effective_from <= CASE
    WHEN f.kind = 'refunded' THEN paid.occurred_at ELSE f.occurred_at END
  ORDER BY t.effective_from DESC LIMIT 1) t ON true
WHERE f.member_id = ANY (CAST(:ids AS bigint[])) OR paid.member_id = ANY (CAST(:ids AS bigint[]))
""")
# A term that is other than it was is looked at anew for what it gives: at once, for what it gave
# may be to be taken back (give_gifts).
_KEEP = text("""
INSERT INTO membership_term AS t (fact_id, member_id, plan_id, starts_on, ends_on, full_ends_on,
  trial, value_minor, refund_minor, refunded_minor, gives_on)
VALUES (:fact_id, :member_id, :plan_id, :starts_on, :ends_on, :full_ends_on, :trial, :value_minor,
  :refund_minor, :refunded_minor, CASE WHEN NOT :trial THEN CAST(:starts_on AS date) END)
ON CONFLICT (fact_id) DO UPDATE SET member_id = excluded.member_id,
  starts_on = excluded.starts_on, ends_on = excluded.ends_on,
  full_ends_on = excluded.full_ends_on, refund_minor = excluded.refund_minor,
  refunded_minor = excluded.refunded_minor, gives_on = '-infinity'
WHERE (t.member_id, t.starts_on, t.ends_on, t.full_ends_on, t.refund_minor, t.refunded_minor)
  <> (excluded.member_id, excluded.starts_on, excluded.ends_on, excluded.full_ends_on,
    excluded.refund_minor, excluded.refunded_minor)
""")


_TERM = ("fact_id", "starts_on", "ends_on", "full_ends_on", "trial", "value_minor", "refund_minor",
         "refunded_minor")  # fmt: skip


async def facts_of(
    db: AsyncConnection, *, member_ids: Sequence[int]
) -> dict[tuple[int, int], list[Fact]]:
    """Return what happened, by member and plan, in no order."""
    plans: dict[tuple[int, int], list[Fact]] = {}
    for row in await db.execute(_FACTS, {"ids": list(member_ids)}):
        facts = dict(row._asdict())
        plans.setdefault((facts.pop("member_id"), facts.pop("plan_id")), []).append(Fact(**facts))
    return plans


async def settle(db: AsyncConnection, *, member_ids: Sequence[int], now: datetime) -> None:
    """Write what the facts of these members' plans come to, and what their terms grant."""
    plans = await facts_of(db, member_ids=member_ids)
    rows: list[dict[str, Any]] = []
    for (member_id, plan_id), found in sorted(plans.items()):
        terms = chain(found)
        rows += [
            {"member_id": member_id, "plan_id": plan_id, **{n: getattr(term, n) for n in _TERM}}
            for term in terms
        ]
        # Tiers before quotas, as whoever moves on a ladder takes them.
        await give_tiers(db, member_id=member_id, plan_id=plan_id, terms=terms, now=now)
    if not rows:
        return
    await db.execute(_KEEP, rows)
    await _grant(db, fact_ids=[row["fact_id"] for row in rows], now=now)


# Each paid term grants what its plan says, for its days. A term that moves takes its quotas along;
# what is left of one that was cut short ends.
_OPEN = text("""
WITH due AS (
  SELECT t.*, b.benefit_id, (g.value ->> 'quantity')::integer AS quantity,
    format('plan:%s:%s', t.fact_id, b.benefit_id) AS source_id
  FROM membership_term t JOIN membership_fact f USING (fact_id)
  JOIN LATERAL (SELECT * FROM membership_plan_terms p
    WHERE p.plan_id = t.plan_id AND p.effective_from <= f.occurred_at
    ORDER BY p.effective_from DESC LIMIT 1) p ON true
  CROSS JOIN LATERAL jsonb_array_elements(p.grants) g
  JOIN benefit b ON b.code = g.value ->> 'benefit'
  WHERE t.fact_id = ANY (CAST(:fact_ids AS bigint[])) AND NOT t.trial AND t.ends_on >= t.starts_on
), opened AS (
  INSERT INTO entitlement (member_id, birth_member_id, benefit_id, source, source_id, starts_on,
    ends_on)
  SELECT d.member_id, f.birth_member_id, benefit_id, 'plan', d.source_id, starts_on, ends_on
  FROM due d JOIN membership_fact f USING (fact_id)
  ON CONFLICT (source, source_id) DO NOTHING RETURNING entitlement_id, source_id
)
INSERT INTO entitlement_entry (entitlement_id, kind, quantity, occurred_at)
SELECT entitlement_id, 'granted', quantity, :now FROM opened JOIN due USING (source_id)
""")
_MOVED = text("""
UPDATE entitlement e SET starts_on = t.starts_on, ends_on = greatest(t.starts_on, t.ends_on)
FROM membership_term t
WHERE t.fact_id = ANY (CAST(:fact_ids AS bigint[])) AND e.source = 'plan'
  AND e.source_id LIKE format('plan:%s:%%', t.fact_id)
  AND (e.starts_on, e.ends_on) <> (t.starts_on, greatest(t.starts_on, t.ends_on))
""")
_VOID = text("""
WITH void AS (
  SELECT e.entitlement_id, e.free FROM membership_term t JOIN entitlement e ON e.source = 'plan'
    AND e.source_id LIKE format('plan:%s:%%', t.fact_id)
  WHERE t.fact_id = ANY (CAST(:fact_ids AS bigint[])) AND t.ends_on < t.starts_on AND e.free > 0
  ORDER BY e.entitlement_id FOR UPDATE OF e
)
INSERT INTO entitlement_entry (entitlement_id, kind, quantity, reason, occurred_at)
SELECT entitlement_id, 'revoked', free, 'the plan ended before', :now FROM void
""")


async def _grant(db: AsyncConnection, *, fact_ids: Sequence[int], now: datetime) -> None:
    facts = {"fact_ids": list(fact_ids)}
    await db.execute(_OPEN, {**facts, "now": now})
    await db.execute(_MOVED, facts)
    await db.execute(_VOID, {**facts, "now": now})
