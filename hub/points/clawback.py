"""Clawback: take back what a refunded sale had earned, with the rule and rate it earned by."""

from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, NotFound
from hub.ledger.codes import Kind, ShortfallMode
from hub.ledger.post import Answer, post_clawback
from hub.points.answers import same_request
from hub.points.checks import key, timely
from hub.points.undo import Refunded, undone
from hub.programme.earning import EarnedLine

SHORTFALLS = {
    "within_balance": ShortfallMode.FORGIVEN,
    "negative_to_limit": ShortfallMode.OWED,
    "receivable": ShortfallMode.RECEIVABLE,
}
"""What an issuer's clawback policy makes of points that were spent meanwhile."""
_KEEP = text("""
INSERT INTO refund_basis (member_id, earn_tx, tx_id, amount_minor, unallocated_minor, points,
  qualifying, nets)
VALUES (:member_id, :earn_tx, :tx_id, :amount_minor, :unallocated_minor, :points, :qualifying,
  CAST(:nets AS jsonb))
""")


async def clawback(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    account_id: int,
    earn_tx: int,
    refund: Refunded | None,
    currency: str | None = None,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
    mode: ShortfallMode = ShortfallMode.FORGIVEN,
    limit_points: int = 0,
) -> Answer:
    """Undo the refunded part of an earn: from its own lot, then from others of the same issuer.

    `refund=None` undoes all of it (a voided sale). What has been spent meanwhile is the answer's
    `shortfall`, and `mode` says what becomes of that (see post_clawback). All refunds of a sale
    together take back what they undo together, whatever their order, and exactly what it earned
    once all of it is refunded. `currency` is what the refund says it is in (None: the sale's).
    Raises NotFound when `earn_tx` is no earn of the member, Conflict when the key was used for
    another request, Malformed for another currency and for a key or an instant no till means.
    """
    key(idempotency_key)
    timely(occurred_at, now)
    sale = await _sale(db, member_id, earn_tx, currency)
    this = refund or Refunded(
        nets={}, unallocated_minor=sale.total_minor, amount_minor=sale.total_minor
    )
    earlier, taken_points, taken_qualifying = await _earlier(
        db, member_id, earn_tx, business_id, idempotency_key
    )
    points, qualifying = undone(
        [EarnedLine(**line) for line in sale.lines],
        total_minor=sale.total_minor,
        refunds=[*earlier, this],
    )
    # Flooring can make one line's share shrink by a point as another's grows: never give back.
    points = max(0, points - taken_points)
    qualifying = max(0, qualifying - taken_qualifying)
    answer = await post_clawback(
        db,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        account_id=account_id,
        earn_tx=earn_tx,
        points=points,
        qualifying=qualifying,
        occurred_at=occurred_at,
        business_date=business_date,
        now=now,
        unit=sale.unit,
        mode=mode,
        limit=limit_points,
    )
    if not answer.replayed:
        refunded = {
            "member_id": member_id,
            "earn_tx": earn_tx,
            "tx_id": answer.tx_id,
            "points": points,
            "qualifying": qualifying,
        }
        await _keep(db, this, refunded)
    return same_request(
        answer, kind=Kind.CLAWBACK, member_id=member_id, points=points, reference_tx=earn_tx
    )


async def _keep(db: AsyncConnection, refund: Refunded, facts: dict[str, int]) -> None:
    """Keep what was refunded and what it made due: later refunds of the sale count from there."""
    nets = orjson.dumps(refund.nets).decode()
    amounts = {
        "amount_minor": refund.amount_minor,
        "unallocated_minor": refund.unallocated_minor,
    }
    await db.execute(_KEEP, {**facts, **amounts, "nets": nets})


async def _sale(
    db: AsyncConnection, member_id: int, earn_tx: int, currency: str | None
) -> Row[Any]:
    """Return what the earn was computed from, behind the member's lock."""
    await db.execute(
        text("SELECT 1 FROM balance WHERE member_id = :m ORDER BY unit FOR UPDATE"),
        {"m": member_id},
    )
    found = await db.execute(
        text("""
          SELECT b.total_minor, b.currency, b.lines, coalesce(l.unit, 1) AS unit
          FROM earn_basis b LEFT JOIN lot l ON l.member_id = :m AND l.lot_id = b.tx_id
          WHERE b.member_id = ANY (ledger_kin(ARRAY[CAST(:m AS bigint)])) AND b.tx_id = :t"""),
        {"m": member_id, "t": earn_tx},
    )
    row = found.first()
    if row is None:
        raise NotFound(f"transaction {earn_tx} is no earn of this member", field="earn_tx")
    if currency not in (None, row.currency):
        raise Malformed(
            f"a refund in {currency} of a sale in {row.currency}: send it in the sale's currency",
            field="currency",
        )
    return row


async def _earlier(
    db: AsyncConnection, member_id: int, earn_tx: int, business_id: int, idempotency_key: str
) -> tuple[list[Refunded], int, int]:
    """Return the refunds posted before this one, and the points they made due.

    When this refund itself was posted before, only what preceded it counts: a replay computes
    what it computed then.
    """
    rows = await db.execute(
        text("""
          SELECT amount_minor, unallocated_minor, points, qualifying, nets FROM refund_basis
          WHERE member_id = ANY (ledger_kin(ARRAY[CAST(:m AS bigint)])) AND earn_tx = :t
            AND tx_id < coalesce((
            SELECT tx_id FROM ledger_transaction
            WHERE business_id = :b AND idempotency_key = :k), 9223372036854775807)"""),
        {"m": member_id, "t": earn_tx, "b": business_id, "k": idempotency_key},
    )
    refunds: list[Refunded] = []
    points = qualifying = 0
    for row in rows:
        refunds.append(
            Refunded(
                nets=row.nets,
                unallocated_minor=row.unallocated_minor,
                amount_minor=row.amount_minor,
            )
        )
        points += row.points
        qualifying += row.qualifying
    return refunds, points, qualifying
