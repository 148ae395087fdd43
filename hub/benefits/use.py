"""Use: take one of a benefit's quota at a business."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.grant import grant
from hub.clock import business_date
from hub.errors import Conflict, Malformed, NotFound
from hub.programme.queries import programme


class UseOutcome(StrEnum):
    """What came of a request. Everything but USED is a decline, stored like a success."""

    USED = "used"
    NOT_OFFERED_HERE = "not_offered_here"
    NOT_ENTITLED = "not_entitled"
    QUOTA_USED = "quota_used"


@dataclass(frozen=True, slots=True, kw_only=True)
class UseAnswer:
    """The hub's word on one use: now, or as it was given when the key came first.

    `remaining` is what was left of the year's quota after it.
    """

    outcome: UseOutcome
    replayed: bool
    member_id: int
    benefit_code: str
    remaining: int
    used_at: datetime


async def use(
    db: AsyncConnection,
    *,
    member_id: int,
    benefit_code: str,
    business_id: int,
    idempotency_key: str,
    now: datetime,
) -> UseAnswer:
    """Take one use of the benefit at `business_id`, if the member's tier and quota allow it.

    What a use costs its funder is fixed by the terms in force now. Raises NotFound for an unknown
    member or a benefit without terms in force, Malformed for a key of no or over 200 characters,
    Conflict, naming the field, when the key was used for another request.
    """
    if not 1 <= len(idempotency_key) <= 200:
        raise Malformed("an idempotency key has from 1 to 200 characters", field="idempotency_key")
    benefit_id = await _find(db, member_id, benefit_code, now)
    time_zone = (await programme(db)).time_zone
    # The year may have turned since the member last moved on the ladder.
    await grant(db, member_ids=[member_id], now=now, time_zone=time_zone)
    row = (
        await db.execute(
            text("""
              SELECT t.*, b.code, CASE WHEN t.member_id <> :member_id AND t.member_id = ANY (
                  ledger_kin(ARRAY[CAST(:member_id AS bigint)])) THEN :member_id
                  ELSE t.member_id END AS whose
              FROM entitlement_take(CAST(:business_id AS smallint), :key,
                :member_id, CAST(:benefit_id AS smallint), :today, :now) t
              JOIN benefit b USING (benefit_id)"""),
            {
                "business_id": business_id,
                "key": idempotency_key,
                "member_id": member_id,
                "benefit_id": benefit_id,
                "today": business_date(now, time_zone),
                "now": now,
            },
        )
    ).one()
    for field, asked, stored in (
        ("member_id", member_id, row.whose),
        ("benefit_code", benefit_code, row.code),
    ):
        if asked != stored:
            raise Conflict(
                f"this idempotency key was used before for another request (its {field}: "
                f"{stored}): send that one again, or use a new key",
                field=field,
            )
    return UseAnswer(
        outcome=UseOutcome(row.outcome),
        replayed=row.replayed,
        member_id=row.whose,
        benefit_code=row.code,
        remaining=row.remaining,
        used_at=row.used_at,
    )


async def _find(db: AsyncConnection, member_id: int, benefit_code: str, now: datetime) -> int:
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
