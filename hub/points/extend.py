"""Extend: give points that are still valid more time."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.ledger.codes import Kind, Outcome, Unit
from hub.ledger.post import Answer, lock_balances, post_extension
from hub.points.answers import key_used, same_reason, same_request
from hub.points.checks import key, reasoned
from hub.programme.policy_queries import policies


async def extend(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    lot_id: int | None,
    until: date,
    reason: str,
    idempotency_key: str,
    business_date: date,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> Answer:
    """Let a lot (None: all that would end sooner) be valid until `until`.

    A lot ends at most the points policy's `extension_months` after the day it first had, however
    often it is extended. An unknown lot, and one that ends no sooner, are answers. Raises Rejected
    for a day beyond the policy (`latest` is the last that would do), Conflict (key used for another
    request) and Malformed (no reason).
    """
    key(idempotency_key)
    reasoned(reason)
    await lock_balances(db, member_ids=[member_id])
    months = (await policies(db)).points(now).extension_months
    latest = await _latest(
        db, {"member_id": member_id, "unit": unit, "lot_id": lot_id, "today": today}, until, months
    )
    if latest is not None and until > latest:
        raise Rejected(
            f"points may end {months} months later, at most: here on {latest}",
            field="until",
            latest=latest.isoformat(),
        )
    answer = await post_extension(
        db,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        lot_id=lot_id,
        until=until,
        reason=reason,
        business_date=business_date,
        today=today,
        now=now,
        unit=unit,
    )
    same_request(
        answer, kind=Kind.EXTEND, member_id=member_id, points=None, reference_tx=lot_id, unit=unit
    )
    await same_reason(
        db, answer, business_id=business_id, idempotency_key=idempotency_key, reason=reason
    )
    if answer.replayed and answer.outcome is Outcome.POSTED:
        first = await db.scalar(
            text("""
              SELECT to_date FROM lot_extension
              WHERE member_id = :member_id AND tx_id = :tx_id LIMIT 1"""),
            {"member_id": member_id, "tx_id": answer.tx_id},
        )
        if first != until:
            raise key_used("until", first)
    return answer


async def _latest(
    db: AsyncConnection, which: dict[str, object], until: date, months: int
) -> date | None:
    """Return the last day to which all lots that `until` would move may be moved; None: no lot."""
    found: date | None = await db.scalar(
        text("""
          SELECT min(coalesce((SELECT min(x.from_date) FROM lot_extension x
              WHERE x.member_id = l.member_id AND x.lot_id = l.lot_id), l.expires_on)
            + make_interval(months => :months))::date
          FROM lot l
          WHERE l.member_id = :member_id AND l.unit = :unit AND l.open AND l.expires_on >= :today
            AND l.expires_on < :until
            AND (CAST(:lot_id AS bigint) IS NULL OR l.lot_id = CAST(:lot_id AS bigint))"""),
        {**which, "until": until, "months": months},
    )
    return found
