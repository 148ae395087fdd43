"""Posting what is taken back: clawbacks of earns, restores of redemptions."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import ShortfallMode, Unit
from hub.ledger.post.answer import Answer, ask

_CLAWBACK = text("""
SELECT * FROM ledger_clawback(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :account_id, :earn_tx, CAST(:unit AS smallint), :points, :qualifying, CAST(:mode AS smallint),
  :limit, :occurred_at, :business_date, :now)
""")
_RESTORE = text("""
SELECT * FROM ledger_restore(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :redeem_tx, :points, :occurred_at, :business_date, :today, :grace_until, :now)
""")


async def post_clawback(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    account_id: int,
    earn_tx: int,
    points: int,
    qualifying: int,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
    mode: ShortfallMode = ShortfallMode.FORGIVEN,
    limit: int = 0,
) -> Answer:
    """Take back points of an earn: own lot, then the issuer's other lots, never what is held.

    Of what cannot be taken, `mode` says what becomes; OWED goes down to a balance of -`limit`, and
    what lies below is forgiven.
    """
    return await ask(db, _CLAWBACK, locals())


async def post_restore(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    redeem_tx: int,
    points: int,
    occurred_at: datetime,
    business_date: date,
    today: date,
    grace_until: date,
    now: datetime,
) -> Answer:
    """Give redeemed points back to the lots they came from, last taken first."""
    return await ask(db, _RESTORE, locals())
