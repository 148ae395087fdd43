"""Posting what a till asks: redeem, hold, and the end of a hold."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind, Unit
from hub.ledger.post.answer import OF_SPENDABLE, Answer, ask

_REDEEM = text(f"""
SELECT * FROM ledger_redeem(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :account_id, CAST(:unit AS smallint), :points, :occurred_at, :business_date, :today, :now)
{OF_SPENDABLE}""")  # noqa: S608 - a constant of ours
_HOLD = text(f"""
SELECT * FROM ledger_hold(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :account_id, CAST(:unit AS smallint), :points, :expires_at, :occurred_at, :business_date,
  :today, :now)
{OF_SPENDABLE}""")  # noqa: S608 - a constant of ours
_END_HOLD = text("""
SELECT * FROM ledger_end_hold(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :hold_id, CAST(:kind AS smallint), CAST(:points AS bigint), :occurred_at, :business_date, :now)
""")


async def post_redeem(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    account_id: int | None,
    points: int,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> Answer:
    """Spend `points` from the lots active at `now` and valid on `today`, soonest expiry first."""
    return await ask(db, _REDEEM, locals())


async def post_hold(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    account_id: int | None,
    points: int,
    expires_at: datetime,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> Answer:
    """Set `points` aside until `expires_at`. The answer's `tx_id` is the hold's id."""
    return await ask(db, _HOLD, locals())


async def post_end_of_hold(
    db: AsyncConnection,
    *,
    kind: Kind,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    hold_id: int,
    points: int | None,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
) -> Answer:
    """Capture, void or lapse `points` of a hold (None: all that is left of it)."""
    return await ask(db, _END_HOLD, locals())


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemRequest:
    """One redemption of a set; see post_redeem."""

    business_id: int
    idempotency_key: str
    member_id: int
    account_id: int | None
    points: int
    occurred_at: datetime
    business_date: date
    unit: int = Unit.SPENDABLE
