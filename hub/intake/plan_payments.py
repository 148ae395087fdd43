"""Payments for paid membership, as facts tell of them: they start plans, renew and shorten them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.facts import lock_memberships, payers
from hub.benefits.memberships.note_paid import note_paid
from hub.benefits.memberships.note_refunded import note_refunded
from hub.connector import EventType
from hub.intake.fact import Fact, idempotency_key
from hub.intake.facts import SourceKey
from hub.members.resolve import Resolved


async def note_plan_payments(
    db: AsyncConnection, new: Sequence[Fact], people: Mapping[SourceKey, Resolved], now: datetime
) -> None:
    """Give payments for plans, and refunds of them, their effect, in whatever order they come.

    A payment by nobody we know, or by somebody who was erased, is only on record. Raises NotFound
    for a plan that is not configured and Malformed for another currency than it is sold in.
    """
    paid = {
        fact.key: member_id
        for fact in new
        if fact.event.type is EventType.MEMBERSHIP_PAID
        and (who := people.get(fact.key)) is not None
        and (member_id := who.member_id) is not None
    }
    refunds = {
        fact.key: idempotency_key(fact.undoes)
        for fact in new
        if fact.event.type is EventType.MEMBERSHIP_REFUNDED and fact.undoes is not None
    }
    if not paid and not refunds:
        return
    concerned = await payers(db, source="fact", payments=list(refunds.values()))
    await lock_memberships(db, member_ids=[*paid.values(), *concerned])
    for fact in new:
        event = fact.event
        if fact.key in paid and event.plan_payment is not None:
            await note_paid(
                db,
                member_id=paid[fact.key],
                plan_code=event.plan_payment.plan,
                amount_minor=event.plan_payment.amount_minor,
                currency=event.currency or "",
                source="fact",
                source_id=idempotency_key(fact.key),
                paid_at=event.occurred_at,
                day=event.business_date,
                now=now,
                taken_by=fact.wired.business_id,
            )
        elif fact.key in refunds and event.refund is not None:
            await note_refunded(
                db,
                payment=refunds[fact.key],
                amount_minor=event.refund.amount_minor,
                currency=event.currency or "",
                source="fact",
                source_id=idempotency_key(fact.key),
                refunded_at=event.occurred_at,
                day=event.business_date,
                now=now,
                taken_by=fact.wired.business_id,
            )
