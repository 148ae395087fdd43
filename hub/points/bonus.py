"""Bonus: points that a business gives without a sale, as an earn to be posted."""

from datetime import date, datetime

from hub.ledger.codes import Unit
from hub.ledger.post import EarnRequest
from hub.programme.queries import Terms


def bonus(
    in_force: Terms,
    *,
    issuer_id: int,
    member_id: int,
    account_id: int,
    points: int,
    idempotency_key: str,
    business_date: date,
    now: datetime,
) -> EarnRequest:
    """Return the earn that gives a member spendable points of an issuer, without qualifying ones.

    They cost the issuer what its points cost it now, and live as long as points do. Raises Rejected
    where the issuer has no rule or the group no expiry policy in force.
    """
    policy = in_force.policies.expiry(Unit.SPENDABLE, now)
    return EarnRequest(
        business_id=issuer_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        account_id=account_id,
        points=points,
        qualifying=0,
        rule_id=None,
        cost_rate=in_force.rule(issuer_id, now).cost_per_point,
        expires_on=policy.expires_on(business_date),
        idle_months=policy.idle_months,
        occurred_at=now,
        business_date=business_date,
    )
