"""Reinstate: give back points that have expired."""

from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, Rejected
from hub.ledger.codes import Kind
from hub.ledger.post import Answer, post_reinstatement
from hub.points.answers import same_reason, same_request
from hub.points.checks import key, positive, reasoned, timely
from hub.programme.policies import ExpiryPolicy
from hub.programme.policy_queries import policies


async def reinstate(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    lot_id: int,
    reason: str,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    points: int | None = None,
    until: date | None = None,
) -> Answer:
    """Give back `points` (None: all) that a lot lost to expiry; issuer and cost stay as they were.

    They are valid until `until`: at most the points policy's `extension_months` from `today` on, or
    its `restore_grace_days` where these are more; unsaid, the grace. A lot that lost none, and more
    than it lost, are answers. Raises Rejected for a day beyond the policy, Conflict (key used for
    another request) and Malformed (`points` not positive, no reason, a day that has passed).
    """
    if points is not None:
        positive(points)
    key(idempotency_key)
    timely(occurred_at, now)
    reasoned(reason)
    policy = (await policies(db)).points(now)
    grace = today + timedelta(days=policy.restore_grace_days)
    in_months = ExpiryPolicy(mode="months", months=policy.extension_months, round_up_to="day")
    latest = max(grace, in_months.expires_on(today) or today)
    until = until or grace
    if until < today:
        raise Malformed(f"{until} has passed: points cannot be valid until then", field="until")
    if until > latest:
        raise Rejected(
            f"reinstated points may be valid until {latest}, at most",
            field="until",
            latest=latest.isoformat(),
        )
    answer = await post_reinstatement(
        db,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        lot_id=lot_id,
        points=points,
        until=until,
        reason=reason,
        occurred_at=occurred_at,
        business_date=business_date,
        now=now,
    )
    same_request(
        answer, kind=Kind.REINSTATE, member_id=member_id, points=points, reference_tx=lot_id
    )
    return await same_reason(
        db, answer, business_id=business_id, idempotency_key=idempotency_key, reason=reason
    )
