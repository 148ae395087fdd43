"""Give back: restore a redemption as far as what it paid for has been refunded."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Outcome
from hub.ledger.post import lock_balances
from hub.points.restore import GRACE_DAYS, restore


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """Points that were spent at a business, and how many of them came back so far."""

    member_id: int
    tx_id: int
    points: int
    restored: int


async def find_redemption(
    db: AsyncConnection, *, business_id: int, reference: str, member_id: int | None
) -> Redemption | None:
    """Return the redemption or capture that a receipt names, or None when there is none.

    `reference` is the key under which the till asked for it, or its transaction's number; a number
    is looked for among the redemptions of `member_id` and of whoever it was ever merged with.
    """
    row = (
        await db.execute(
            text("""
              WITH named AS (
                SELECT member_id, tx_id FROM ledger_transaction
                WHERE business_id = :business_id AND kind IN (2, 4) AND outcome = 0
                  AND idempotency_key = ANY(CAST(:keys AS text[]))
                UNION ALL
                SELECT member_id, tx_id FROM entry
                WHERE member_id = ANY (ledger_kin(ARRAY[CAST(:member_id AS bigint)]))
                  AND tx_id = CAST(:number AS bigint) AND credit = 20 AND business_id = :business_id
                LIMIT 1)
              SELECT n.member_id, n.tx_id,
                (SELECT sum(points) FROM entry e WHERE e.member_id = n.member_id
                  AND e.tx_id = n.tx_id AND e.credit = 20)::bigint AS points,
                coalesce((SELECT sum(points) FROM ledger_transaction t
                  WHERE t.member_id = ANY (ledger_kin(ARRAY[n.member_id]))
                    AND t.reference_tx = n.tx_id AND t.kind = 8 AND t.outcome = 0),
                  0)::bigint AS restored
              FROM named n"""),
            {
                "business_id": business_id,
                "keys": [reference, f"api:{reference}"],
                "member_id": member_id,
                "number": _number(reference),
            },
        )
    ).first()
    return None if row is None else Redemption(**row._asdict())


async def give_back(
    db: AsyncConnection,
    *,
    business_id: int,
    reference: str,
    member_id: int | None,
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
    never beyond. Returns whether the redemption is known. Locks the member's balances.
    """
    found = await find_redemption(
        db, business_id=business_id, reference=reference, member_id=member_id
    )
    if found is None:
        return False
    await lock_balances(db, member_ids=[found.member_id])
    locked = await find_redemption(
        db, business_id=business_id, reference=reference, member_id=found.member_id
    )
    if locked is None:
        return False
    due = locked.points * refunded_minor // paid_minor - locked.restored
    if due > 0:
        answer = await restore(
            db,
            business_id=business_id,
            member_id=locked.member_id,
            redemption_tx=locked.tx_id,
            points=due,
            idempotency_key=idempotency_key,
            occurred_at=occurred_at,
            business_date=business_date,
            today=today,
            now=now,
            grace_days=grace_days,
        )
        return answer.outcome is Outcome.POSTED
    return True


def _number(reference: str) -> int | None:
    if reference.isascii() and reference.isdigit() and int(reference) < 2**63:
        return int(reference)
    return None
