"""Undoing: what refunds and voids do to what a bill earned, and to the points it was paid with."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.count_refund import count_refund
from hub.connector import CanonicalEvent, FactKey, LineKind
from hub.errors import Malformed
from hub.intake import facts
from hub.intake.deliveries import close_as
from hub.intake.fact import EARNS, Fact, idempotency_key
from hub.intake.facts import PostedFact, SourceKey
from hub.intake.points_paid import give_points_back, paid_back
from hub.points.clawback import SHORTFALLS, clawback
from hub.points.due_back import PaidBack
from hub.points.undo import Refunded
from hub.programme.policy_queries import Policies, policies


@dataclass(frozen=True, slots=True, kw_only=True)
class _Undo:
    """A refund or void, as it is kept while it waits. `refund` None: all of the sale.

    `currency` is the refund's own (None: it named none).
    """

    business_id: int
    refund: Refunded | None
    currency: str | None
    back: PaidBack | None
    occurred_at: datetime
    business_date: date

    def pack(self) -> dict[str, Any]:
        """Return this as JSON values."""
        return {
            "business_id": self.business_id,
            "refund": None
            if self.refund is None
            else {
                "nets": dict(self.refund.nets),
                "unallocated_minor": self.refund.unallocated_minor,
                "amount_minor": self.refund.amount_minor,
            },
            "currency": self.currency,
            "back": None if self.back is None else asdict(self.back),
            "occurred_at": self.occurred_at.isoformat(),
            "business_date": self.business_date.isoformat(),
        }

    @classmethod
    def unpack(cls, packed: dict[str, Any]) -> "_Undo":
        """Read what `pack` wrote."""
        return cls(
            business_id=packed["business_id"],
            refund=Refunded(**packed["refund"]) if packed["refund"] else None,
            currency=packed.get("currency"),
            back=PaidBack(**packed["back"]) if packed.get("back") else None,
            occurred_at=datetime.fromisoformat(packed["occurred_at"]),
            business_date=date.fromisoformat(packed["business_date"]),
        )


async def undo(
    db: AsyncConnection,
    undoing: Sequence[Fact],
    earned: Sequence[PostedFact],
    names: Sequence[tuple[SourceKey, FactKey]],
    now: datetime,
) -> list[PostedFact]:
    """Undo what refunds and voids refund; those whose sale has not come yet wait for it.

    What waited for a sale that has just been earned is undone now; what cannot be taken for a
    refund of it becomes a dead letter after all.
    """
    found = await facts.find(db, [key for f in undoing if (key := f.undoes) is not None])
    # A payment is not what it paid for: its refund waits until the bill is known.
    originals = {key: fact for key, fact in found.items() if fact.type in EARNS}
    records = []
    arrived = {record.key: record for record in earned if record.type in EARNS}
    aliases = {
        name: arrived[SourceKey(name.connection_id, *fact)]
        for name, fact in names
        if SourceKey(name.connection_id, *fact) in arrived
    }
    known = {**arrived, **aliases}
    waited = await facts.waiting_for(db, list(known))
    if not undoing and not waited:
        return []
    rules = await policies(db)
    for fact in sorted(undoing, key=lambda f: (f.event.occurred_at, f.key)):
        key = fact.undoes
        original = originals.get(key) if key is not None else None
        this = _Undo(
            business_id=fact.wired.business_id,
            refund=_refunded(fact.event),
            currency=fact.event.currency,
            back=paid_back(fact.event),
            occurred_at=fact.event.occurred_at,
            business_date=fact.event.business_date,
        )
        if key is not None and original is None:
            waits_for = FactKey(key.kind, key.id)
            records.append(fact.posted(waits_for=waits_for, undo=this.pack()))
        else:
            records.append(await _undo(db, fact.posted(), original, this, rules=rules, now=now))
    for waiting in waited:
        if waiting.waits_for is not None and waiting.undo is not None:
            original = known[SourceKey(waiting.key.connection_id, *waiting.waits_for)]
            this = _Undo.unpack(waiting.undo)
            try:
                records.append(await _undo(db, waiting, original, this, rules=rules, now=now))
            except Malformed as said:
                # The sale stands, whatever a refund that came before it says.
                await close_as(db, delivery_id=waiting.delivery_id, verdict=said, now=now)
    await facts.record(db, records)
    return records


def _refunded(event: CanonicalEvent) -> Refunded | None:
    if event.refund is None:
        return None
    nets: dict[str, int] = {}
    for line in event.lines:
        if line.reverses is not None and line.kind is not LineKind.ROUNDING:
            nets[line.reverses] = nets.get(line.reverses, 0) + line.net_minor
    return Refunded(
        nets=nets,
        unallocated_minor=event.refund.unallocated_minor,
        amount_minor=event.refund.amount_minor,
    )


async def _undo(
    db: AsyncConnection,
    fact: PostedFact,
    original: PostedFact | None,
    this: _Undo,
    *,
    rules: Policies,
    now: datetime,
) -> PostedFact:
    """Take back what the original earned, and give back what it was paid for in points.

    One that earned nothing leaves nothing to take.
    """
    done = replace(fact, waits_for=None, undo=None)
    if original is None:
        return done
    tx_id = await _clawback(db, fact, original, this, rules=rules, now=now)
    if original.account_id is not None:
        await count_refund(
            db,
            account_id=original.account_id,
            sale=idempotency_key(original.key),
            key=idempotency_key(fact.key),
            refunded_minor=this.refund.amount_minor if this.refund else None,
            occurred_at=this.occurred_at,
        )
    await give_points_back(
        db,
        fact=fact,
        original=original,
        business_id=this.business_id,
        back=this.back,
        currency=this.currency,
        occurred_at=this.occurred_at,
        business_date=this.business_date,
        now=now,
    )
    return replace(done, member_id=original.member_id, account_id=original.account_id, tx_id=tx_id)


async def _clawback(
    db: AsyncConnection,
    fact: PostedFact,
    original: PostedFact,
    this: _Undo,
    *,
    rules: Policies,
    now: datetime,
) -> int | None:
    if original.tx_id is None or original.member_id is None or original.account_id is None:
        return None
    policy = rules.clawback(this.business_id, this.occurred_at)
    answer = await clawback(
        db,
        business_id=this.business_id,
        member_id=original.member_id,
        account_id=original.account_id,
        earn_tx=original.tx_id,
        refund=this.refund,
        currency=this.currency,
        idempotency_key=idempotency_key(fact.key),
        occurred_at=this.occurred_at,
        business_date=this.business_date,
        now=now,
        mode=SHORTFALLS[policy.mode],
        limit_points=policy.limit_points or 0,
    )
    return answer.tx_id
