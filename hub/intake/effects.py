"""Effects: what a business fact does to members, points and tiers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.queries import tiers_at
from hub.connector import CanonicalEvent, EventType, FactKey, LineKind, Role
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.intake import facts
from hub.intake.connections import Wired
from hub.intake.deliveries import close_as
from hub.intake.facts import PostedFact, SourceKey
from hub.ledger.post import lock_balances
from hub.members.resolve import Resolved, Sighting, resolve
from hub.points.clawback import clawback
from hub.points.earn import earn
from hub.points.sale import Sale
from hub.points.undo import Refunded
from hub.programme.bill import BillLine, BillTender

EARNS = frozenset({EventType.SALE_COMPLETED, EventType.STAY_COMPLETED})
UNDOES = frozenset({EventType.REFUND_RECORDED, EventType.SALE_VOIDED})
SHOWS_A_PERSON = EARNS | {EventType.PROFILE_CHANGED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A canonical event where it came from."""

    wired: Wired
    delivery_id: int
    event: CanonicalEvent

    @property
    def key(self) -> SourceKey:
        """The fact's identity."""
        return SourceKey(self.wired.connection_id, *self.event.fact)

    @property
    def entity(self) -> SourceKey:
        """The source's own record that the fact was read from."""
        return SourceKey(self.wired.connection_id, self.event.entity, self.event.entity_id)

    @property
    def undoes(self) -> SourceKey | None:
        """The fact that this one undoes, if any."""
        if self.event.refund is not None:
            return SourceKey(self.wired.connection_id, *self.event.refund.original)
        if self.event.type is EventType.SALE_VOIDED:
            return SourceKey(self.wired.connection_id, "sale", self.event.entity_id)
        return None

    def names(self) -> Iterable[SourceKey]:
        """Everything that must stand still while this fact has its effect."""
        yield self.key
        yield from (SourceKey(self.wired.connection_id, *name) for name in self.event.references)
        if self.undoes is not None:
            yield self.undoes

    def posted(self, **effect: Any) -> PostedFact:
        """Return the record of this fact with its effect."""
        return PostedFact(
            key=self.key,
            type=self.event.type,
            entity=self.entity,
            delivery_id=self.delivery_id,
            **effect,
        )


async def post(
    db: AsyncConnection, *, new: Sequence[Fact], now: datetime, keyring: Keyring
) -> set[int]:
    """Give each fact its effect and record it; returns the members whose points moved.

    The caller holds the locks on the facts' keys and has left out what was posted before.
    """
    people = await _resolve(db, new, now, keyring)
    await _lock_balances(db, new, people)
    records = await _earn(db, [f for f in new if f.event.type in EARNS], people, now)
    earned_keys = {record.key for record in records}
    for fact in new:
        if fact.event.type not in UNDOES and fact.key not in earned_keys:
            who = people.get(fact.key)
            records.append(
                fact.posted(
                    member_id=who.member_id if who else None,
                    account_id=who.account_id if who else None,
                )
            )
    await facts.record(db, records)
    names = [
        (SourceKey(fact.wired.connection_id, *name), fact.event.fact)
        for fact in new
        for name in fact.event.references
    ]
    await facts.refer(db, names)
    undone = await _undo(db, [f for f in new if f.event.type in UNDOES], records, names, now)
    return {r.member_id for r in (*records, *undone) if r.tx_id is not None and r.member_id}


async def _resolve(
    db: AsyncConnection, new: Sequence[Fact], now: datetime, keyring: Keyring
) -> dict[SourceKey, Resolved]:
    seen: list[tuple[SourceKey, Sighting]] = []
    for fact in new:
        party = fact.event.party(Role.PURCHASER, Role.GUEST)
        if fact.event.type in SHOWS_A_PERSON and party is not None:
            sighting = Sighting(
                business_id=fact.wired.business_id,
                external_id=party.external_id,
                hints=party.hints,
                seen_at=fact.event.occurred_at,
            )
            seen.append((fact.key, sighting))
    if not seen:
        return {}
    resolved = await resolve(db, people=[one for _, one in seen], now=now, keyring=keyring)
    return {key: who for (key, _), who in zip(seen, resolved, strict=True)}


async def _lock_balances(
    db: AsyncConnection, new: Sequence[Fact], people: dict[SourceKey, Resolved]
) -> None:
    """Lock the balances of all whom this batch concerns, where it undoes anything.

    Earns take theirs in order of members by themselves; refunds come in the order of their sales.
    """
    undone = [key for f in new if f.event.type in UNDOES and (key := f.undoes) is not None]
    if undone:
        found = await facts.find(db, undone)
        members = {fact.member_id for fact in found.values()}
        members |= {who.member_id for who in people.values()}
        await lock_balances(db, member_ids=[m for m in members if m is not None])


async def _earn(
    db: AsyncConnection, bills: Sequence[Fact], people: dict[SourceKey, Resolved], now: datetime
) -> list[PostedFact]:
    """Earn for every bill with a member; one without is recorded as a sale to nobody we know."""
    known: list[tuple[Fact, Sale]] = []
    records: list[PostedFact] = []
    for fact in bills:
        who = people.get(fact.key)
        if who is None or who.member_id is None or who.account_id is None:
            records.append(fact.posted())
        else:
            known.append((fact, _sale(fact, who.member_id, who.account_id)))
    earned = await earn(db, sales=[sale for _, sale in known], now=now, tiers_at=tiers_at)
    records += [
        fact.posted(member_id=sale.member_id, account_id=sale.account_id, tx_id=one.tx_id)
        for (fact, sale), one in zip(known, earned, strict=True)
    ]
    return records


def _sale(fact: Fact, member_id: int, account_id: int) -> Sale:
    event = fact.event
    if event.currency is None or event.totals is None:
        raise Malformed("a bill needs its currency and totals", field="totals")
    return Sale(
        business_id=fact.wired.business_id,
        idempotency_key=_idempotency_key(fact.key),
        member_id=member_id,
        account_id=account_id,
        occurred_at=event.occurred_at,
        business_date=event.business_date,
        currency=event.currency,
        total_minor=event.totals.total_minor,
        lines=tuple(
            BillLine(id=n.id, kind=n.kind, net_minor=n.net_minor, category=n.category)
            for n in event.lines
        ),
        tenders=tuple(BillTender(kind=t.kind, amount_minor=t.amount_minor) for t in event.tenders),
        outlet=event.outlet,
        exchange_rate=event.exchange_rate,
        checked_out=event.type is EventType.STAY_COMPLETED,
    )


def _idempotency_key(key: SourceKey) -> str:
    return f"fact:{key.connection_id}:{key.kind}:{key.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Undo:
    """A refund or void, as it is kept while it waits. `refund` None: all of the sale.

    `currency` is the refund's own (None: it named none).
    """

    business_id: int
    refund: Refunded | None
    currency: str | None
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
            occurred_at=datetime.fromisoformat(packed["occurred_at"]),
            business_date=date.fromisoformat(packed["business_date"]),
        )


async def _undo(
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
    for fact in sorted(undoing, key=lambda f: (f.event.occurred_at, f.key)):
        key = fact.undoes
        original = originals.get(key) if key is not None else None
        undo = _Undo(
            business_id=fact.wired.business_id,
            refund=_refunded(fact.event),
            currency=fact.event.currency,
            occurred_at=fact.event.occurred_at,
            business_date=fact.event.business_date,
        )
        if key is not None and original is None:
            waits_for = FactKey(key.kind, key.id)
            records.append(fact.posted(waits_for=waits_for, undo=undo.pack()))
        else:
            records.append(await _clawback(db, fact.posted(), original, undo, now))
    arrived = {record.key: record for record in earned if record.type in EARNS}
    aliases = {
        name: arrived[SourceKey(name.connection_id, *fact)]
        for name, fact in names
        if SourceKey(name.connection_id, *fact) in arrived
    }
    known = {**arrived, **aliases}
    for waiting in await facts.waiting_for(db, list(known)):
        if waiting.waits_for is not None and waiting.undo is not None:
            original = known[SourceKey(waiting.key.connection_id, *waiting.waits_for)]
            undo = _Undo.unpack(waiting.undo)
            try:
                records.append(await _clawback(db, waiting, original, undo, now))
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


async def _clawback(
    db: AsyncConnection, fact: PostedFact, original: PostedFact | None, undo: _Undo, now: datetime
) -> PostedFact:
    """Take back what the original earned; one that earned nothing leaves nothing to take."""
    if (
        original is None
        or original.tx_id is None
        or original.member_id is None
        or original.account_id is None
    ):
        return replace(fact, waits_for=None, undo=None)
    answer = await clawback(
        db,
        business_id=undo.business_id,
        member_id=original.member_id,
        account_id=original.account_id,
        earn_tx=original.tx_id,
        refund=undo.refund,
        currency=undo.currency,
        idempotency_key=_idempotency_key(fact.key),
        occurred_at=undo.occurred_at,
        business_date=undo.business_date,
        now=now,
    )
    return replace(
        fact,
        member_id=original.member_id,
        account_id=original.account_id,
        tx_id=answer.tx_id,
        waits_for=None,
        undo=None,
    )
