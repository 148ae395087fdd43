"""Posting moves between members, and between members and pools."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind, Unit
from hub.ledger.post.answer import OF_SPENDABLE, Answer, ask

_MOVE = text(f"""
SELECT * FROM ledger_move(CAST(:kind AS smallint), CAST(:business_id AS smallint),
  :idempotency_key, :from_id, :to_id, :account_id, :to_account_id, CAST(:unit AS smallint),
  CAST(:points AS bigint), CAST(:origin_id AS bigint), CAST(:sent_limit AS bigint),
  CAST(:received_limit AS bigint), CAST(:year AS smallint), :occurred_at, :business_date, :today,
  :now)
{OF_SPENDABLE}""")  # noqa: S608 - constants of ours


async def post_move(
    db: AsyncConnection,
    *,
    kind: Kind,
    business_id: int,
    idempotency_key: str,
    from_id: int,
    to_id: int,
    account_id: int | None,
    to_account_id: int | None,
    points: int | None,
    year: int,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
    origin_id: int | None = None,
    sent_limit: int | None = None,
    received_limit: int | None = None,
) -> Answer:
    """Move `points` (None: all that may be moved) with their lots from one holder to another.

    `kind` is TRANSFER, CONTRIBUTE or LEAVE. `origin_id` takes only what that member contributed;
    the limits bound what is sent (or contributed) and received in `year`, in all.
    """
    return await ask(db, _MOVE, locals())
