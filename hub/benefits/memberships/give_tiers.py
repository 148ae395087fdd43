"""Give tiers: while a plan that gives one is paid for, the member is awarded it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.chain import Term
from hub.benefits.tiers.award_tier import award_tier
from hub.benefits.tiers.revoke_award import revoke_award
from hub.clock import business_date
from hub.programme.queries import programme

GIVEN_BY = "membership plan"
# An award is for less than ten years; the payments of the last of them give it anew.
_LONGEST = timedelta(days=9 * 365)

_TIER = text("""
SELECT t.code FROM membership_plan_terms p JOIN tier t USING (tier_id)
WHERE p.plan_id = :plan_id AND p.effective_from <= :now ORDER BY p.effective_from DESC LIMIT 1
""")
_LIVE = text("""
SELECT a.award_id, a.valid_until, t.code AS tier FROM tier_award a JOIN tier t USING (tier_id)
JOIN member m USING (member_id)
WHERE :member_id IN (m.member_id, m.merged_into) AND a.given_by = :given_by
  AND a.idempotency_key LIKE :prefix AND a.revoked_at IS NULL AND a.valid_until >= :today
""")


async def give_tiers(
    db: AsyncConnection,
    *,
    member_id: int,
    plan_id: int,
    terms: Sequence[Term],
    now: datetime,
) -> None:
    """Award the plan's tier to the last day that is paid for without a gap, or end the award.

    A new award is given before the old one is revoked: nobody loses the tier in between.
    """
    zone = (await programme(db)).time_zone
    today = business_date(now, zone)
    prefix = f"plan:{plan_id}:"
    live = (
        await db.execute(
            _LIVE,
            {
                "member_id": member_id,
                "given_by": GIVEN_BY,
                "prefix": f"{prefix}%",
                "today": today,
            },
        )
    ).all()
    tier: str | None = await db.scalar(_TIER, {"plan_id": plan_id, "now": now})
    until = paid_until(terms, today)
    if tier is not None and until is not None:
        until = min(until, today + _LONGEST)
        if [(one.tier, one.valid_until) for one in live] == [(tier, until)]:
            return
        given = await db.scalar(
            text("SELECT count(*) FROM tier_award WHERE idempotency_key LIKE :prefix"),
            {"prefix": f"{prefix}{member_id}:%"},
        )
        await award_tier(
            db,
            member_id=member_id,
            tier=tier,
            valid_until=until,
            reason="a plan of paid membership gives it",
            given_by=GIVEN_BY,
            idempotency_key=f"{prefix}{member_id}:{given}",
            now=now,
            time_zone=zone,
        )
    for one in live:
        await revoke_award(
            db,
            award_id=one.award_id,
            reason="the plan is paid for to another day, or ended",
            revoked_by=GIVEN_BY,
            now=now,
            time_zone=zone,
        )


def paid_until(terms: Sequence[Term], today: date) -> date | None:
    """Return the last day that is paid for without a gap from today on; None: today is not."""
    until: date | None = None
    for term in sorted(terms, key=lambda term: term.starts_on):
        if term.void or term.trial:
            continue
        if (until is None and term.starts_on <= today <= term.ends_on) or (
            until is not None and until < term.ends_on and term.starts_on <= until + _DAY
        ):
            until = term.ends_on
    return until


_DAY = timedelta(days=1)
