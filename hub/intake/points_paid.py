"""Bills paid in points: what their refunds give back to the lots it came from."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date
from hub.connector import CanonicalEvent, TenderKind
from hub.intake.fact import Fact, idempotency_key
from hub.intake.facts import PostedFact, SourceKey
from hub.points.due_back import PaidBack, due_back
from hub.points.give_back import give_back
from hub.programme.policy_queries import policies
from hub.programme.queries import programme

_NO_REFERENCE = "the receipt names no redemption"
_UNKNOWN = "no redemption of this business answers to the receipt's reference"


async def keep_bills(db: AsyncConnection, bills: Sequence[Fact]) -> None:
    """Keep what was paid in points on these bills: their refunds will ask."""
    rows = [
        {
            "connection_id": fact.key.connection_id,
            "kind": fact.key.kind,
            "source_id": fact.key.id,
            "money_minor": sum(t.amount_minor + t.tip_minor for t in fact.event.tenders)
            - sum(t.amount_minor for t in paid),
            "tenders": orjson.dumps(
                [{"amount_minor": t.amount_minor, "reference": t.reference} for t in paid]
            ).decode(),
        }
        for fact in bills
        if (paid := [t for t in fact.event.tenders if t.kind is TenderKind.POINTS])
    ]
    if rows:
        await db.execute(
            text("""
              INSERT INTO points_paid_bill (connection_id, kind, source_id, money_minor, tenders)
              VALUES (:connection_id, :kind, :source_id, :money_minor, CAST(:tenders AS jsonb))
              ON CONFLICT DO NOTHING"""),
            rows,
        )


def paid_back(event: CanonicalEvent) -> PaidBack | None:
    """Return what a refund event paid back, as far as it says; None for a void: all of it."""
    if event.refund is None:
        return None
    if not event.tenders:
        return PaidBack(amount_minor=event.refund.amount_minor, points_minor=None)
    in_points = sum(t.amount_minor for t in event.tenders if t.kind is TenderKind.POINTS)
    return PaidBack(
        amount_minor=event.refund.amount_minor,
        points_minor=min(in_points, event.refund.amount_minor),
    )


async def give_points_back(
    db: AsyncConnection,
    *,
    fact: PostedFact,
    original: PostedFact,
    business_id: int,
    back: PaidBack | None,
    occurred_at: datetime,
    now: datetime,
) -> None:
    """Restore what the refunds of a bill so far give back of its points; most bills have none.

    A bill whose receipt names no redemption we know is kept as unresolved, with the reason: the
    till gives those points back by itself.
    """
    bill = await _bill(db, original.key)
    if bill is None:
        return
    money, tenders = bill.money_minor, bill.tenders
    in_points = sum(tender["amount_minor"] for tender in tenders)
    if back is None:
        back = PaidBack(amount_minor=money + in_points, points_minor=in_points)
    await _keep_refund(db, original.key, fact.key, back)
    due = due_back(
        money_minor=money, points_minor=in_points, refunds=await _refunds(db, original.key)
    )
    group = await programme(db)
    today = business_date(now, group.time_zone)
    grace_days = (await policies(db)).points(occurred_at).restore_grace_days
    unresolved = None
    for number, tender in enumerate(tenders):
        paid = tender["amount_minor"]
        part = min(paid, due)
        due -= part
        if part == 0:
            continue
        if tender["reference"] is None:
            unresolved = _NO_REFERENCE
            continue
        known = await give_back(
            db,
            business_id=business_id,
            reference=tender["reference"],
            member_id=original.member_id,
            paid_minor=paid,
            refunded_minor=part,
            idempotency_key=f"{idempotency_key(fact.key)}:points:{number}",
            occurred_at=occurred_at,
            business_date=business_date(occurred_at, group.time_zone),
            today=today,
            now=now,
            grace_days=grace_days,
        )
        unresolved = unresolved if known else _UNKNOWN
    if unresolved is not None:
        await _note(db, original.key, fact.key, unresolved)


async def who_redeemed(
    db: AsyncConnection, originals: Mapping[SourceKey, PostedFact]
) -> set[int | None]:
    """Return whose points paid these bills: their balances are locked with the others."""
    rows = await db.execute(
        text("""
          SELECT DISTINCT t.member_id
          FROM unnest(CAST(:connections AS smallint[]), CAST(:kinds AS text[]),
              CAST(:ids AS text[])) AS x (connection_id, kind, source_id)
          JOIN points_paid_bill p USING (connection_id, kind, source_id)
          JOIN connection c USING (connection_id)
          CROSS JOIN LATERAL jsonb_array_elements(p.tenders) AS tender
          JOIN ledger_transaction t ON t.business_id = c.business_id
            AND t.idempotency_key
              IN (tender ->> 'reference', 'api:' || (tender ->> 'reference'))"""),
        {
            "connections": [fact.key.connection_id for fact in originals.values()],
            "kinds": [fact.key.kind for fact in originals.values()],
            "ids": [fact.key.id for fact in originals.values()],
        },
    )
    return set(rows.scalars())


async def _bill(db: AsyncConnection, sale: SourceKey) -> Any:
    found = await db.execute(
        text("""
          SELECT money_minor, tenders FROM points_paid_bill
          WHERE connection_id = :c AND kind = :k AND source_id = :i"""),
        {"c": sale.connection_id, "k": sale.kind, "i": sale.id},
    )
    return found.first()


async def _keep_refund(
    db: AsyncConnection, sale: SourceKey, refund: SourceKey, back: PaidBack
) -> None:
    await db.execute(
        text("""
          INSERT INTO points_paid_refund (connection_id, kind, source_id, refund_kind, refund_id,
            amount_minor, points_minor)
          VALUES (:c, :k, :i, :refund_kind, :refund_id, :amount, :points)
          ON CONFLICT DO NOTHING"""),
        {
            "c": sale.connection_id,
            "k": sale.kind,
            "i": sale.id,
            "refund_kind": refund.kind,
            "refund_id": refund.id,
            "amount": back.amount_minor,
            "points": back.points_minor,
        },
    )


async def _refunds(db: AsyncConnection, sale: SourceKey) -> list[PaidBack]:
    rows = await db.execute(
        text("""
          SELECT amount_minor, points_minor FROM points_paid_refund
          WHERE connection_id = :c AND kind = :k AND source_id = :i"""),
        {"c": sale.connection_id, "k": sale.kind, "i": sale.id},
    )
    return [PaidBack(amount_minor=row[0], points_minor=row[1]) for row in rows]


async def _note(db: AsyncConnection, sale: SourceKey, refund: SourceKey, reason: str) -> None:
    await db.execute(
        text("""
          UPDATE points_paid_refund SET unresolved = :reason
          WHERE connection_id = :c AND kind = :k AND source_id = :i
            AND refund_kind = :refund_kind AND refund_id = :refund_id"""),
        {
            "c": sale.connection_id,
            "k": sale.kind,
            "i": sale.id,
            "refund_kind": refund.kind,
            "refund_id": refund.id,
            "reason": reason,
        },
    )
