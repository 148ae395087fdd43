"""Posting what staff mend: adjustments, more time for lots, points given back, debts closed."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Unit
from hub.ledger.post.answer import OF_SPENDABLE, Answer, ask

_ADJUST = text(f"""
SELECT * FROM ledger_adjust(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :account_id, CAST(:unit AS smallint), :points, CAST(:cost_rate AS numeric),
  CAST(:expires_on AS date), :reason, :occurred_at, :business_date, :today, :now,
  CAST(:idle_months AS smallint))
{OF_SPENDABLE}""")  # noqa: S608 - constants of ours
_EXTEND = text(f"""
SELECT * FROM ledger_extend(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  CAST(:unit AS smallint), CAST(:lot_id AS bigint), :until, :reason, :business_date, :today, :now)
{OF_SPENDABLE}""")  # noqa: S608 - constants of ours
_REINSTATE = text("""
SELECT * FROM ledger_reinstate(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :lot_id, CAST(:points AS bigint), :until, :reason, :occurred_at, :business_date, :now)
""")
_RECOVER = text("""
SELECT * FROM ledger_recover(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :clawback_tx, CAST(:points AS bigint), :reason, :occurred_at, :business_date, :now)
""")


async def post_adjustment(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    account_id: int,
    points: int,
    cost_rate: Decimal,
    expires_on: date | None,
    reason: str,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
    idle_months: int | None = None,
) -> Answer:
    """Add `points` as a new lot of the business, or (negative) take them from its own lots."""
    return await ask(db, _ADJUST, locals())


async def post_extension(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    lot_id: int | None,
    until: date,
    reason: str,
    business_date: date,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> Answer:
    """Let open lots (None: all that would end sooner) live until `until`."""
    return await ask(db, _EXTEND, locals())


async def post_reinstatement(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    lot_id: int,
    points: int | None,
    until: date,
    reason: str,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
) -> Answer:
    """Give back `points` (None: all) that a lot lost to expiry, valid until `until`."""
    return await ask(db, _REINSTATE, locals())


async def post_recovery(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    clawback_tx: int,
    points: int | None,
    reason: str,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
) -> Answer:
    """Close `points` (None: all) of the receivable that a clawback left."""
    return await ask(db, _RECOVER, locals())
