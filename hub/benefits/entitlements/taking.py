"""Taking: what a use and a hold share."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.requests import ANSWER, UseAnswer, answer, check_request
from hub.benefits.grant import grant
from hub.clock import business_date
from hub.errors import NotFound
from hub.programme.queries import programme


async def take(
    db: AsyncConnection,
    *,
    kind: str,
    member_id: int,
    benefit_code: str,
    business_id: int,
    quantity: int,
    outlet: str | None,
    expires_at: datetime | None,
    idempotency_key: str,
    now: datetime,
) -> UseAnswer:
    """Use or hold; raises as `hub.benefits.use` says."""
    check_request(idempotency_key, quantity)
    benefit_id = await find_benefit(db, member_id=member_id, benefit_code=benefit_code, now=now)
    time_zone = (await programme(db)).time_zone
    # The period may have turned since the member last moved on the ladder.
    await grant(db, member_ids=[member_id], now=now, time_zone=time_zone)
    row = (
        await db.execute(
            text(f"""
              SELECT {ANSWER}
              FROM entitlement_take(CAST(:business_id AS smallint), :key, :kind, :member_id,
                CAST(:benefit_id AS smallint), :quantity, :outlet, :expires_at, :today, :now) t
              JOIN benefit b ON b.benefit_id = (t.request).benefit_id"""),  # noqa: S608
            {
                "business_id": business_id,
                "key": idempotency_key,
                "kind": kind,
                "member_id": member_id,
                "benefit_id": benefit_id,
                "quantity": quantity,
                "outlet": outlet,
                "expires_at": expires_at,
                "today": business_date(now, time_zone),
                "now": now,
            },
        )
    ).one()
    return answer(
        row,
        kind=kind,
        member_id=member_id,
        benefit_code=benefit_code,
        quantity=quantity,
        outlet=outlet,
    )


async def find_benefit(
    db: AsyncConnection, *, member_id: int, benefit_code: str, now: datetime
) -> int:
    """Return the benefit's id; raises NotFound when it or the member is not there."""
    row = (
        await db.execute(
            text("""
              SELECT (SELECT benefit_id FROM benefit b WHERE code = :code AND EXISTS (
                  SELECT 1 FROM benefit_terms t
                  WHERE t.benefit_id = b.benefit_id AND effective_from <= :now)) AS benefit_id,
                EXISTS (SELECT 1 FROM member WHERE member_id = :member_id) AS known"""),
            {"code": benefit_code, "now": now, "member_id": member_id},
        )
    ).one()
    if not row.known:
        raise NotFound(f"there is no member {member_id}", field="member_id")
    if row.benefit_id is None:
        raise NotFound(f"there is no benefit {benefit_code!r}", field="benefit_code")
    benefit_id: int = row.benefit_id
    return benefit_id
