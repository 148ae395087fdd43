"""The points that vouchers of that kind give, and take back when they are cancelled.

They are issued by the funder, as any it grants. Balances are locked before vouchers: call
`lock_holders` first.
"""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.answers import VoucherAnswer
from hub.benefits.vouchers.worth import Verdict
from hub.errors import Malformed
from hub.ledger.post import lock_balances, post_clawback, post_earns
from hub.points.acting_account import acting_account
from hub.points.bonus import bonus
from hub.programme.queries import terms


async def lock_holders(
    db: AsyncConnection, *, voucher_ids: Collection[int], member_id: int | None
) -> bool:
    """Say whether any of the vouchers gives points, and lock the balances that these go to."""
    rows = await db.execute(
        text("""
          SELECT coalesce(v.member_id, (SELECT coalesce(m.merged_into, m.member_id) FROM member m
            WHERE m.member_id = :member_id)) AS holder
          FROM voucher v JOIN voucher_terms t USING (terms_id)
          WHERE v.voucher_id = ANY (CAST(:ids AS bigint[])) AND t.points IS NOT NULL"""),
        {"ids": list(voucher_ids), "member_id": member_id},
    )
    holders = [row.holder for row in rows]
    if holders:
        await lock_balances(db, member_ids={one for one in holders if one is not None})
    return bool(holders)


async def give_points(
    db: AsyncConnection, answer: VoucherAnswer, *, business_date: date, now: datetime
) -> None:
    """Issue what the redeemed vouchers of an answer give, once: an earn of their funder's.

    Raises Malformed for a member without any account, Rejected where the funder has no rule or the
    group no expiry policy.
    """
    if answer.replayed or answer.outcome is not Verdict.TAKEN:
        return
    rows = await db.execute(
        text("""
          SELECT e.entry_id, e.member_id, e.funder_id, t.points * e.used AS points
          FROM voucher_entry e JOIN voucher v USING (voucher_id)
          JOIN voucher_terms t USING (terms_id)
          WHERE e.entry_id = ANY (CAST(:ids AS bigint[])) AND e.kind = 'redeemed'
            AND t.points IS NOT NULL ORDER BY e.entry_id"""),
        {"ids": [part.entry_id for part in answer.parts if part.entry_id is not None]},
    )
    in_force = await terms(db)
    for row in rows.all():
        account_id = await acting_account(
            db, member_id=row.member_id, business_id=row.funder_id, elsewhere=True
        )
        if account_id is None:
            raise Malformed("this member has no account to put points on", field="member_id")
        earn = bonus(
            in_force,
            issuer_id=row.funder_id,
            member_id=row.member_id,
            account_id=account_id,
            points=row.points,
            idempotency_key=f"voucher:{row.entry_id}",
            business_date=business_date,
            now=now,
        )
        await post_earns(db, [earn])


async def lock_giver(db: AsyncConnection, *, entry_id: int) -> None:
    """Lock the balance that a redemption's points went to, if it gave any."""
    holder = await db.scalar(
        text("""
          SELECT account_holder(t.account_id) FROM voucher_entry e
          JOIN ledger_transaction t ON t.business_id = e.funder_id
            AND t.idempotency_key = 'voucher:' || e.entry_id
          WHERE e.entry_id = :entry_id"""),
        {"entry_id": entry_id},
    )
    if holder is not None:
        await lock_balances(db, member_ids=[holder])


async def take_points_back(
    db: AsyncConnection, answer: VoucherAnswer, *, entry_id: int, business_date: date, now: datetime
) -> None:
    """Take back what a cancelled redemption gave; what was spent meanwhile its funder bears."""
    if answer.replayed or answer.outcome is not Verdict.TAKEN:
        return
    row = (
        await db.execute(
            text("""
              SELECT t.tx_id, t.points, t.account_id, account_holder(t.account_id) AS holder,
                t.member_id, e.funder_id
              FROM voucher_entry e JOIN ledger_transaction t ON t.business_id = e.funder_id
                AND t.idempotency_key = 'voucher:' || e.entry_id
              WHERE e.entry_id = :entry_id"""),
            {"entry_id": entry_id},
        )
    ).first()
    if row is not None:
        await post_clawback(
            db,
            business_id=row.funder_id,
            idempotency_key=f"voucher:{answer.parts[0].entry_id}",
            member_id=row.holder or row.member_id,
            account_id=row.account_id,
            earn_tx=row.tx_id,
            points=row.points,
            qualifying=0,
            occurred_at=now,
            business_date=business_date,
            now=now,
        )
