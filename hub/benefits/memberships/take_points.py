"""Take points back that a paid period gave, as its money is given back."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.gifts import Period
from hub.clock import business_date
from hub.ledger.post import post_clawback
from hub.points.clawback import SHORTFALLS
from hub.programme.policies import ClawbackPolicy
from hub.programme.queries import Business

_EARN = text("""
SELECT t.account_id, coalesce(account_holder(t.account_id), t.member_id) AS holder
FROM ledger_transaction t WHERE t.business_id = :issuer AND t.idempotency_key = :key
""")
_TAKEN = text("""
UPDATE membership_gift SET taken_points = :taken WHERE fact_id = :fact_id AND number = :number
""")


async def take_points(
    db: AsyncConnection,
    period: Period,
    points: int,
    *,
    shop: Business,
    policy: ClawbackPolicy,
    now: datetime,
) -> int:
    """Take back so many of a period's points, the latest gift first; returns of how many gifts.

    `shop` issued them; what was spent meanwhile is forgiven, owed or receivable by its `policy`.
    """
    moved = 0
    for gift in reversed(period.given):
        part = min(points, (gift.points or 0) - gift.taken_points)
        if part == 0:
            continue
        points -= part
        taken = gift.taken_points + part
        key = f"plan:{period.fact_id}:{gift.number}"
        earn = (await db.execute(_EARN, {"issuer": shop.business_id, "key": key})).one()
        await post_clawback(
            db,
            business_id=shop.business_id,
            idempotency_key=f"{key}:back:{taken}",
            member_id=earn.holder,
            account_id=earn.account_id,
            earn_tx=gift.tx_id or 0,
            points=part,
            qualifying=0,
            occurred_at=now,
            business_date=business_date(
                now, shop.time_zone, day_starts_at_hour=shop.day_starts_at_hour
            ),
            now=now,
            mode=SHORTFALLS[policy.mode],
            limit=policy.limit_points or 0,
        )
        facts = {"fact_id": period.fact_id, "number": gift.number, "taken": taken}
        await db.execute(_TAKEN, facts)
        moved += 1
    return moved
