"""Approve an estimate: a second person lets it be in force."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.estimates import Estimate, decide, lock_estimate
from hub.errors import Forbidden, Rejected
from hub.points.checks import named


async def approve_estimate(
    db: AsyncConnection, *, estimate_id: int, checker: str, now: datetime
) -> Estimate:
    """Let an estimate be in force from its date on. Approving twice is one effect.

    Raises Forbidden when its maker asks, Rejected when it was rejected, when another is in force
    from the same day, or when a period that it would change is recognised; NotFound.
    """
    named(checker, field="checker")
    found = await lock_estimate(db, estimate_id)
    if found.state == "approved":
        return found
    if found.state == "rejected":
        raise Rejected(f"estimate {estimate_id} was rejected: propose another one")
    if found.maker == checker:
        raise Forbidden("somebody else must approve what one has proposed", field="checker")
    await db.execute(text("LOCK TABLE recognition IN SHARE ROW EXCLUSIVE MODE"))
    recognised: str | None = await db.scalar(
        text("""
          SELECT code FROM recognition JOIN settlement_period USING (period_id)
          WHERE ends_on >= :since ORDER BY ends_on DESC LIMIT 1"""),
        {"since": found.effective_from},
    )
    if recognised is not None:
        raise Rejected(
            f"period {recognised} is recognised: reject this estimate and propose one from a day "
            "after it; what was recognised before is then caught up with",
            period=recognised,
        )
    other: int | None = await db.scalar(
        text("""
          SELECT estimate_id FROM redemption_estimate WHERE state = 'approved'
            AND (issuer_id, unit, effective_from) = (:issuer_id, :unit, :since)
            AND cohort IS NOT DISTINCT FROM :cohort"""),
        {
            "issuer_id": found.issuer_id,
            "unit": found.unit,
            "since": found.effective_from,
            "cohort": found.cohort,
        },
    )
    if other is not None:
        raise Rejected(
            f"estimate {other} is in force from {found.effective_from} on: propose one from "
            "another day",
            estimate=other,
        )
    return await decide(
        db, estimate_id=estimate_id, state="approved", checker=checker, verdict=None, now=now
    )
