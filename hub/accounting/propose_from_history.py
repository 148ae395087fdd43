"""Propose from history: an estimate for each cohort, with its bounds, for somebody to approve."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.estimates import Estimate
from hub.accounting.history import history
from hub.accounting.policies import policies
from hub.accounting.propose_estimate import propose_estimate
from hub.errors import Rejected
from hub.ledger.codes import Unit


async def propose_from_history(
    db: AsyncConnection,
    *,
    issuer_id: int,
    effective_from: date,
    maker: str,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> list[Estimate]:
    """Propose how many of each cohort's points will be redeemed, by the months before that day.

    The same again, while they wait, is one. Raises Rejected when there is no month to learn from,
    or when the issuer's points are recognised together.
    """
    versions = (await policies(db)).get((issuer_id, unit), [])
    if any(version.portfolio == "all" for version in versions):
        raise Rejected(
            "these points are recognised together, and history tells of each month: state a rate",
            field="rate",
        )
    found = await history(db, issuer_id=issuer_id, unit=unit, on=effective_from)
    if not found:
        raise Rejected(
            f"no month before {effective_from} is known of this issuer: state an estimate",
            field="effective_from",
        )
    return [
        await propose_estimate(
            db,
            issuer_id=issuer_id,
            unit=unit,
            cohort=one.cohort,
            rate=one.rate,
            low=one.low,
            high=one.high,
            effective_from=effective_from,
            method="history",
            maker=maker,
            reason=f"additive method: {one.seen} redeemed in {one.ages} months of {one.issued} "
            f"points, {one.low} to {one.high} with 95%",
            now=now,
        )
        for one in found
    ]
