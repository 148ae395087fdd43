"""Give back: restore a redemption as far as what it paid for has been refunded."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Outcome
from hub.points.lock_payers import Receipt, lock_payers
from hub.points.pool_queries import pools_ever_of
from hub.points.restore import GRACE_DAYS, restore
from hub.points.restore_to_pool import PoolRedemption, restore_to_pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """Points that a member or a pool spent at a business, and how many of them came back so far."""

    member_id: int
    tx_id: int
    account_id: int
    points: int
    restored: int


async def find_redemption(db: AsyncConnection, *, receipt: Receipt) -> Redemption | None:
    """Return the redemption or capture that a receipt names, or None when there is none.

    A number is looked for with whoever was ever merged with the member, too.
    """
    kin, pools = list[int](), set[int]()
    if receipt.number is not None and receipt.member_id is not None:
        kin = [receipt.member_id]
        pools = await pools_ever_of(db, member_ids=kin)
    row = (
        await db.execute(
            text("""
              WITH named AS (
                SELECT member_id, tx_id FROM ledger_transaction
                WHERE business_id = :business_id AND kind IN (2, 4) AND outcome = 0
                  AND idempotency_key = ANY(CAST(:keys AS text[]))
                UNION ALL
                SELECT member_id, tx_id FROM entry
                WHERE member_id
                    = ANY (CAST(:pools AS bigint[]) || ledger_kin(CAST(:kin AS bigint[])))
                  AND tx_id = CAST(:number AS bigint) AND credit = 20
                  AND business_id = :business_id
                LIMIT 1)
              SELECT n.member_id, n.tx_id, e.account_id, e.points,
                coalesce((SELECT sum(points) FROM ledger_transaction t
                  WHERE t.member_id = ANY (ledger_kin(ARRAY[n.member_id]))
                    AND t.reference_tx = n.tx_id AND t.kind = 8 AND t.outcome = 0),
                  0)::bigint AS restored
              FROM named n CROSS JOIN LATERAL (
                SELECT min(account_id) AS account_id, sum(points)::bigint AS points FROM entry e
                WHERE e.member_id = n.member_id AND e.tx_id = n.tx_id AND e.credit = 20) AS e"""),
            {
                "business_id": receipt.business_id,
                "keys": receipt.keys,
                "pools": list(pools),
                "kin": kin,
                "number": receipt.number,
            },
        )
    ).first()
    return None if row is None else Redemption(**row._asdict())


async def give_back(
    db: AsyncConnection,
    *,
    receipt: Receipt,
    paid_minor: int,
    refunded_minor: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    grace_days: int = GRACE_DAYS,
) -> bool:
    """Restore the redemption that paid `paid_minor`, as far as `refunded_minor` of it is refunded.

    What the till has given back by itself counts: the redemption is restored up to what is due,
    never beyond. What a pool paid goes where `restore_to_pool` says. Returns whether the redemption
    is known. Locks the pool and the balances, unless they are (`lock_payers`).
    """
    pools = await lock_payers(db, receipts=[receipt])
    spent = await find_redemption(db, receipt=receipt)
    if spent is None:
        return False
    due = spent.points * refunded_minor // paid_minor - spent.restored
    if due <= 0:
        return True
    facts: dict[str, Any] = {
        "business_id": receipt.business_id,
        "redemption_tx": spent.tx_id,
        "points": due,
        "idempotency_key": idempotency_key,
        "occurred_at": occurred_at,
        "business_date": business_date,
        "today": today,
        "now": now,
        "grace_days": grace_days,
    }
    if spent.member_id in pools:
        from_pool = PoolRedemption(pool_id=spent.member_id, account_id=spent.account_id)
        answer = await restore_to_pool(db, redemption=from_pool, **facts)
    else:
        answer = await restore(db, member_id=spent.member_id, **facts)
    return answer.outcome is Outcome.POSTED
