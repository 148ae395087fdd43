"""Clawback: take back what a refunded sale had earned, with the rule and rate it earned by."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound
from hub.ledger.codes import Kind
from hub.ledger.post import Answer, post_clawback
from hub.points.answers import same_request
from hub.points.undo import Undone, undo
from hub.programme.earning import EarnedLine


@dataclass(frozen=True, slots=True, kw_only=True)
class _Basis:
    total_minor: int
    earned: list[EarnedLine]
    undone: dict[str, Undone]
    refunded_minor: int


async def clawback(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    account_id: int,
    earn_tx: int,
    refunded_net: Mapping[str, int],
    unallocated_minor: int,
    amount_minor: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
) -> Answer:
    """Undo the refunded part of an earn: from its own lot, then from others of the same issuer.

    `refunded_net` is net minor units by sold line, `unallocated_minor` what was refunded without
    naming lines, `amount_minor` the whole refund. What has been spent meanwhile is the answer's
    `shortfall`. Several refunds of one sale take back, together, never more than it earned, and
    exactly that when all of it is refunded. Raises NotFound when `earn_tx` is no earn of the
    member, Conflict when the key was used for another request.
    """
    basis = await _basis(db, member_id, earn_tx, idempotency_key, business_id)
    changes = undo(
        basis.earned,
        basis.undone,
        refunded_net=refunded_net,
        unallocated_minor=unallocated_minor,
        left_minor=basis.total_minor - basis.refunded_minor,
    )
    points = sum(change.points for change in changes)
    answer = await post_clawback(
        db,
        business_id=business_id,
        idempotency_key=idempotency_key,
        member_id=member_id,
        account_id=account_id,
        earn_tx=earn_tx,
        points=points,
        qualifying=sum(change.qualifying for change in changes),
        occurred_at=occurred_at,
        business_date=business_date,
    )
    if not answer.replayed:
        await db.execute(
            text("""
              INSERT INTO refund_basis (member_id, earn_tx, tx_id, amount_minor, lines)
              VALUES (:member_id, :earn_tx, :tx_id, :amount_minor, CAST(:lines AS jsonb))"""),
            {
                "member_id": member_id,
                "earn_tx": earn_tx,
                "tx_id": answer.tx_id,
                "amount_minor": amount_minor,
                "lines": orjson.dumps([asdict(change) for change in changes]).decode(),
            },
        )
    return same_request(
        answer, kind=Kind.CLAWBACK, member_id=member_id, points=points, reference_tx=earn_tx
    )


async def _basis(
    db: AsyncConnection, member_id: int, earn_tx: int, idempotency_key: str, business_id: int
) -> _Basis:
    """Read the earn and what other refunds undid of it, behind the member's lock.

    The refund's own earlier posting, if any, is left out: a replay computes what it computed then.
    """
    await db.execute(
        text("SELECT 1 FROM balance WHERE member_id = :m ORDER BY unit FOR UPDATE"),
        {"m": member_id},
    )
    row = (
        await db.execute(
            text("SELECT total_minor, lines FROM earn_basis WHERE member_id = :m AND tx_id = :t"),
            {"m": member_id, "t": earn_tx},
        )
    ).first()
    if row is None:
        raise NotFound(f"transaction {earn_tx} is no earn of this member", field="earn_tx")
    refunds = await db.execute(
        text("""
          SELECT amount_minor, lines FROM refund_basis r
          WHERE member_id = :m AND earn_tx = :t AND tx_id < coalesce((
            SELECT tx_id FROM ledger_transaction
            WHERE business_id = :b AND idempotency_key = :k), 9223372036854775807)"""),
        {"m": member_id, "t": earn_tx, "b": business_id, "k": idempotency_key},
    )
    undone: dict[str, Undone] = {}
    refunded = 0
    for refund in refunds:
        refunded += refund.amount_minor
        for part in refund.lines:
            before = undone.get(part["id"])
            undone[part["id"]] = Undone(
                id=part["id"],
                net=part["net"] + (before.net if before else 0),
                points=part["points"] + (before.points if before else 0),
                qualifying=part["qualifying"] + (before.qualifying if before else 0),
            )
    return _Basis(
        total_minor=row.total_minor,
        earned=[EarnedLine(**line) for line in row.lines],
        undone=undone,
        refunded_minor=refunded,
    )
