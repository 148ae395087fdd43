"""Bills paid in points: what their refunds give back to the lots it came from."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date as trading_day
from hub.connector import CanonicalEvent, Tender, TenderKind
from hub.errors import Malformed
from hub.intake.fact import Fact, idempotency_key
from hub.intake.facts import PostedFact, SourceKey
from hub.points.due_back import PaidBack, due_back
from hub.points.give_back import give_back
from hub.points.lock_payers import Receipt
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
            "currency": fact.event.currency,
            "money_minor": sum(t.amount_minor + t.tip_minor for t in fact.event.tenders)
            - sum(t.amount_minor for t in paid),
            "tenders": orjson.dumps(
                [{"amount_minor": t.amount_minor, "reference": t.reference} for t in paid]
            ).decode(),
        }
        for fact in bills
        if (paid := paid_in_points(fact.event))
    ]
    if rows:
        await db.execute(
            text("""
              INSERT INTO points_paid_bill (connection_id, kind, source_id, money_minor, currency,
                tenders)
              VALUES (:connection_id, :kind, :source_id, :money_minor, :currency,
                CAST(:tenders AS jsonb))
              ON CONFLICT DO NOTHING"""),
            rows,
        )


def paid_in_points(event: CanonicalEvent) -> list[Tender]:
    """Return the tenders of a bill, or of a refund, that are points."""
    return [tender for tender in event.tenders if tender.kind is TenderKind.POINTS]


def paid_back(event: CanonicalEvent) -> PaidBack | None:
    """Return what a refund event paid back, as far as it says; None for a void: all of it.

    Raises Malformed when points were paid in: no refund does that.
    """
    if event.refund is None:
        return None
    amount = event.refund.amount_minor
    if not event.tenders:
        return PaidBack(amount_minor=amount, points_minor=None)
    back = paid_in_points(event)
    if any(tender.amount_minor < 0 for tender in back):
        raise Malformed("a refund gives points back, it takes none", field="tenders.amount_minor")
    return PaidBack(
        amount_minor=amount,
        points_minor=min(sum(tender.amount_minor for tender in back), amount),
        reference=next((tender.reference for tender in back if tender.reference), None),
    )


async def give_points_back(
    db: AsyncConnection,
    *,
    fact: PostedFact,
    original: PostedFact,
    business_id: int,
    back: PaidBack | None,
    currency: str | None,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
) -> None:
    """Restore what the refunds of a bill so far give back of its points; most bills have none.

    A bill whose receipt names no redemption we know is kept as unresolved, with the reason: the
    business gives those points back by itself. Should a later refund of the bill name it, all that
    is due is given back then. Raises Malformed for a refund in another currency than the bill's.
    """
    bill = await _bill(db, original.key)
    if bill is None:
        return
    if currency not in (None, bill.currency):
        raise Malformed(
            f"a refund in {currency} of a bill in {bill.currency}: send it in the bill's currency",
            field="currency",
        )
    money, tenders = bill.money_minor, bill.tenders
    in_points = sum(tender["amount_minor"] for tender in tenders)
    if back is None:
        back = PaidBack(amount_minor=money + in_points, points_minor=in_points)
    await _keep_refund(db, original.key, fact.key, back, now)
    refunds = await _refunds(db, original.key)
    due = due_back(money_minor=money, points_minor=in_points, refunds=refunds)
    # What only a refund's receipt names can only be the redemption of the one tender in points.
    said = [refund.reference for refund in refunds if refund.reference and len(tenders) == 1]
    group = await programme(db)
    grace_days = (await policies(db)).points(occurred_at).restore_grace_days
    unresolved = None
    for number, tender in enumerate(tenders):
        paid = tender["amount_minor"]
        reference = tender["reference"] or next(iter(said), None)
        part = min(paid, due)
        due -= part
        if part == 0:
            continue
        if reference is None:
            unresolved = _NO_REFERENCE
            continue
        known = await give_back(
            db,
            receipt=Receipt(
                business_id=business_id, reference=reference, member_id=original.member_id
            ),
            paid_minor=paid,
            refunded_minor=part,
            idempotency_key=f"{idempotency_key(fact.key)}:points:{number}",
            occurred_at=occurred_at,
            business_date=business_date,
            today=trading_day(now, group.time_zone),
            now=now,
            grace_days=grace_days,
        )
        unresolved = unresolved if known else _UNKNOWN
    await _note(db, original.key, fact.key, unresolved)


async def receipts_of(
    db: AsyncConnection, *, bills: Mapping[SourceKey, int | None], refunds: Sequence[Fact]
) -> list[Receipt]:
    """Return what names the redemptions that paid bills, of these members or of nobody we know.

    A bill's own receipt names them, or those of its refunds: earlier ones, ones that waited for it,
    and `refunds`.
    """
    rows = await db.execute(
        text("""
          SELECT c.business_id, r.reference, x.member_id
          FROM unnest(CAST(:connections AS smallint[]), CAST(:kinds AS text[]),
              CAST(:ids AS text[]), CAST(:members AS bigint[]))
            AS x (connection_id, kind, source_id, member_id)
          JOIN points_paid_bill p USING (connection_id, kind, source_id)
          JOIN connection c USING (connection_id)
          CROSS JOIN LATERAL (
            SELECT tender ->> 'reference' AS reference
            FROM jsonb_array_elements(p.tenders) AS tender
            UNION
            SELECT f.reference FROM points_paid_refund f
            WHERE f.connection_id = x.connection_id AND f.kind = x.kind
              AND f.source_id = x.source_id
            UNION
            SELECT w.undo -> 'back' ->> 'reference' FROM business_fact w
            WHERE w.connection_id = x.connection_id AND w.waits_for_kind = x.kind
              AND w.waits_for_id = x.source_id) AS r
          WHERE r.reference IS NOT NULL"""),
        {
            "connections": [bill.connection_id for bill in bills],
            "kinds": [bill.kind for bill in bills],
            "ids": [bill.id for bill in bills],
            "members": list(bills.values()),
        },
    )
    found = [Receipt(**row._asdict()) for row in rows]
    for fact in refunds:
        member_id = None if fact.undoes is None else bills.get(fact.undoes)
        found += [
            Receipt(
                business_id=fact.wired.business_id, reference=said.reference, member_id=member_id
            )
            for said in paid_in_points(fact.event)
            if said.reference
        ]
    return found


async def _bill(db: AsyncConnection, sale: SourceKey) -> Any:
    found = await db.execute(
        text("""
          SELECT money_minor, currency, tenders FROM points_paid_bill
          WHERE connection_id = :c AND kind = :k AND source_id = :i"""),
        {"c": sale.connection_id, "k": sale.kind, "i": sale.id},
    )
    return found.first()


async def _keep_refund(
    db: AsyncConnection, sale: SourceKey, refund: SourceKey, back: PaidBack, now: datetime
) -> None:
    await db.execute(
        text("""
          INSERT INTO points_paid_refund (connection_id, kind, source_id, refund_kind, refund_id,
            amount_minor, points_minor, reference, noted_at)
          VALUES (:c, :k, :i, :refund_kind, :refund_id, :amount, :points, :reference, :now)
          ON CONFLICT DO NOTHING"""),
        {
            "c": sale.connection_id,
            "k": sale.kind,
            "i": sale.id,
            "refund_kind": refund.kind,
            "refund_id": refund.id,
            "amount": back.amount_minor,
            "points": back.points_minor,
            "reference": back.reference,
            "now": now,
        },
    )


async def _refunds(db: AsyncConnection, sale: SourceKey) -> list[PaidBack]:
    rows = await db.execute(
        text("""
          SELECT amount_minor, points_minor, reference FROM points_paid_refund
          WHERE connection_id = :c AND kind = :k AND source_id = :i
          ORDER BY refund_kind, refund_id"""),
        {"c": sale.connection_id, "k": sale.kind, "i": sale.id},
    )
    return [PaidBack(**row._asdict()) for row in rows]


async def _note(
    db: AsyncConnection, sale: SourceKey, refund: SourceKey, reason: str | None
) -> None:
    """Note why this refund's points did not come back; when they did, so did those before."""
    await db.execute(
        text("""
          UPDATE points_paid_refund SET unresolved = CAST(:reason AS text)
          WHERE connection_id = :c AND kind = :k AND source_id = :i
            AND (CAST(:reason AS text) IS NOT NULL AND refund_kind = :refund_kind
              AND refund_id = :refund_id
              OR CAST(:reason AS text) IS NULL AND unresolved IS NOT NULL)"""),
        {
            "c": sale.connection_id,
            "k": sale.kind,
            "i": sale.id,
            "refund_kind": refund.kind,
            "refund_id": refund.id,
            "reason": reason,
        },
    )
