"""Effects: what a business fact does to members, points and tiers."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.referrals.judge_referrals import judge_referrals, lock_referrers
from hub.benefits.tiers.count_sales import CountedSale, count_sales
from hub.benefits.tiers.standings import tiers_at
from hub.clock import business_date
from hub.connector import EventType, Role
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.intake import facts
from hub.intake.fact import EARNS, SHOWS_A_PERSON, UNDOES, Fact, idempotency_key
from hub.intake.facts import PostedFact, SourceKey
from hub.intake.naming_referrers import name_referrers, referrers_named
from hub.intake.plan_payments import note_plan_payments
from hub.intake.points_paid import keep_bills, paid_in_points, receipts_of
from hub.intake.room_charges import (
    RoomPair,
    keep_room_charges,
    link_room_charges,
    room_pairs,
)
from hub.intake.served import is_served, own_numbers
from hub.intake.undoing import undo
from hub.members.resolve import Resolved, Sighting, resolve
from hub.points.check_out import check_out
from hub.points.day_caps import lock_day_caps
from hub.points.earn import Earned, earn
from hub.points.lock_payers import lock_payers
from hub.points.sale import Sale
from hub.programme.bill import BillLine, BillTender
from hub.programme.queries import programme

MOST_NIGHTS = 366


async def post(
    db: AsyncConnection, *, new: Sequence[Fact], now: datetime, keyring: Keyring
) -> set[int]:
    """Give each fact its effect and record it; returns the members whose points or tiers may move.

    The caller holds the locks on the facts' keys and has left out what was posted before.
    """
    people = await _resolve(db, new, now, keyring)
    bills = [fact for fact in new if fact.event.type in EARNS]
    await keep_bills(db, bills)
    sales, records = _sales(bills, people)
    await keep_room_charges(db, bills)
    pairs = await room_pairs(db, bills)
    await _lock_balances(db, new, people, sales, pairs)
    records += await _earn(db, sales, now)
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
    await note_plan_payments(db, new, people, now)
    undone = await undo(db, [f for f in new if f.event.type in UNDOES], records, names, now)
    moved = {r.member_id for r in (*records, *undone) if r.tx_id is not None and r.member_id}
    moved |= {r.member_id for r in undone if r.member_id} | {s.member_id for _, s in sales}
    moved |= await link_room_charges(db, pairs, now)
    since = None if undone else min((s.occurred_at for _, s in sales), default=now)
    named = await referrers_named(db, new=new, people=people, keyring=keyring)
    await lock_referrers(
        db,
        member_ids=moved,
        since=since,
        referrer_account_ids=[one.referrer for one in named],
    )
    moved |= await judge_referrals(db, member_ids=moved, since=since, now=now)
    return moved | await name_referrers(db, named=named, now=now)


async def _resolve(
    db: AsyncConnection, new: Sequence[Fact], now: datetime, keyring: Keyring
) -> dict[SourceKey, Resolved]:
    shown = [
        (fact, party)
        for fact in new
        if fact.event.type in SHOWS_A_PERSON
        and (party := fact.event.party(Role.PURCHASER, Role.GUEST)) is not None
    ]
    numbers = await own_numbers(
        db,
        seen=[(fact.wired.code, hint) for fact, party in shown for hint in party.hints],
        now=now,
        keyring=keyring,
    )
    seen: list[tuple[SourceKey, Sighting]] = []
    for fact, party in shown:
        own = (numbers.get((fact.wired.code, hint.value)) for hint in party.hints)
        sighting = Sighting(
            business_id=fact.wired.business_id,
            external_id=party.external_id,
            hints=tuple(hint for hint in party.hints if not is_served(hint)),
            identifiers=tuple(one for one in own if one is not None),
            seen_at=fact.event.occurred_at,
        )
        seen.append((fact.key, sighting))
    if not seen:
        return {}
    resolved = await resolve(db, people=[one for _, one in seen], now=now, keyring=keyring)
    return {key: who for (key, _), who in zip(seen, resolved, strict=True)}


def _sales(
    bills: Sequence[Fact], people: dict[SourceKey, Resolved]
) -> tuple[list[tuple[Fact, Sale]], list[PostedFact]]:
    """Return the bills that have a member, as sales, and the records of those that have none.

    A sale to nobody we know is only recorded. So is one to somebody who was erased, on their
    account: refunds of it find nothing to take back.
    """
    sales: list[tuple[Fact, Sale]] = []
    records: list[PostedFact] = []
    for fact in bills:
        who = people.get(fact.key)
        if who is None or who.member_id is None or who.account_id is None:
            records.append(fact.posted(account_id=who.account_id if who else None))
        else:
            sales.append((fact, _sale(fact, who.member_id, who.account_id)))
    return sales, records


async def _lock_balances(
    db: AsyncConnection,
    new: Sequence[Fact],
    people: dict[SourceKey, Resolved],
    sales: Sequence[tuple[Fact, Sale]],
    pairs: Sequence[RoomPair],
) -> None:
    """Lock the balances of all whom this batch concerns, where it does more than earn.

    Earns take theirs in order of members by themselves; refunds come in the order of their sales,
    whoever checks out may have earned nothing, and a bill may be paid with the points of somebody
    else, or of a pool, which come back with its refund. Daily caps are locked before balances.
    """
    undoing = [fact for fact in new if fact.event.type in UNDOES]
    bills = {
        fact.key: who.member_id if (who := people.get(fact.key)) else None
        for fact in new
        if fact.event.type in EARNS and paid_in_points(fact.event)
    }
    if not (
        undoing or bills or pairs or any(f.event.type is EventType.STAY_COMPLETED for f in new)
    ):
        return
    undone = [key for fact in undoing if (key := fact.undoes) is not None]
    undone += [pair.folio for pair in pairs]
    found = await facts.find(db, undone) if undone else {}
    # A refund may know its bill by another name.
    bills |= {key: fact.member_id for key, fact in found.items()}
    bills |= {fact.key: fact.member_id for fact in found.values()}
    receipts = await receipts_of(db, bills=bills, refunds=undoing) if bills else []
    concerned = {fact.member_id for fact in found.values()}
    concerned |= {who.member_id for who in people.values()}
    await lock_day_caps(db, sales=[sale for _, sale in sales])
    await lock_payers(
        db, receipts=receipts, member_ids=[one for one in concerned if one is not None]
    )


async def _earn(
    db: AsyncConnection, sales: Sequence[tuple[Fact, Sale]], now: datetime
) -> list[PostedFact]:
    """Earn for every sale, and let go what waited for a check-out that a bill tells of."""
    earned = await earn(db, sales=[sale for _, sale in sales], now=now, tiers_at=tiers_at)
    left: dict[tuple[int, int], datetime] = {}
    for fact, sale in sales:
        if sale.checked_out:
            who = sale.member_id, sale.account_id
            left[who] = max(left.get(who, fact.event.occurred_at), fact.event.occurred_at)
    await check_out(db, left=left, now=now)
    zone = (await programme(db)).time_zone if any(fact.event.stay for fact, _ in sales) else "UTC"
    counted = [
        _counted(fact, sale, one, zone) for (fact, sale), one in zip(sales, earned, strict=True)
    ]
    await count_sales(db, sales=counted)
    return [
        fact.posted(member_id=sale.member_id, account_id=sale.account_id, tx_id=one.tx_id)
        for (fact, sale), one in zip(sales, earned, strict=True)
    ]


def _counted(fact: Fact, sale: Sale, earned: Earned, time_zone: str) -> CountedSale:
    """Return what a bill counts for tiers; a night is one between two days of the group's."""
    stay, nights = fact.event.stay, 0
    if stay is not None:
        came, left = (business_date(at, time_zone) for at in (stay.arrival, stay.departure))
        nights = min(max(0, (left - came).days), MOST_NIGHTS)
    return CountedSale(
        account_id=sale.account_id,
        business_id=sale.business_id,
        business_date=sale.business_date,
        occurred_at=sale.occurred_at,
        key=sale.idempotency_key,
        spend_minor=earned.spend_minor,
        paid_minor=sale.total_minor,
        currency=earned.currency,
        stay=f"{fact.key.connection_id}:{stay.reservation_id}" if stay is not None else None,
        nights=nights,
    )


def _sale(fact: Fact, member_id: int, account_id: int) -> Sale:
    event = fact.event
    if event.currency is None or event.totals is None:
        raise Malformed("a bill needs its currency and totals", field="totals")
    return Sale(
        business_id=fact.wired.business_id,
        idempotency_key=idempotency_key(fact.key),
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
