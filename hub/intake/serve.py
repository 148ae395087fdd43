"""Serve: do what a system asks while a guest waits, with the verbs that a till has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date as trading_day
from hub.connector import (
    Accrue,
    Call,
    Enquire,
    Found,
    HintType,
    Known,
    NobodyKnown,
    Noted,
    NothingSpent,
    Quote,
    Quoted,
    Result,
    Reverse,
    Reversed,
    Spend,
    Spent,
)
from hub.crypto import served_numbers
from hub.crypto.keyring import Keyring
from hub.errors import Rejected
from hub.intake.connections import Wired
from hub.ledger.codes import Kind, Outcome
from hub.ledger.post import answered, lock_balances
from hub.ledger.queries import balances, restored
from hub.members.display import MemberView, Shown
from hub.members.identifiers import Kind as Identified
from hub.members.queries import current_members, find
from hub.points.acting_account import acting_account
from hub.points.redeem import redeem
from hub.points.restore import restore
from hub.points.stopped import stopped_at
from hub.privacy.shown_to import shown_to
from hub.programme.acceptance import AcceptanceRule
from hub.programme.policy_queries import policies
from hub.programme.queries import businesses, programme

_KINDS = {
    HintType.PHONE: Identified.PHONE,
    HintType.EMAIL: Identified.EMAIL,
    HintType.LOYALTY_ID: Identified.LOYALTY_ID,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counter:
    """Where a call is served: its connection, the keys, and what day it is."""

    wired: Wired
    keyring: Keyring
    now: datetime
    today: date

    @property
    def business_date(self) -> date:
        """The trading day of the connection's business."""
        plug = self.wired.plug
        return trading_day(self.now, plug.time_zone, day_starts_at_hour=plug.day_starts_at_hour)

    def key(self, asked: str) -> str:
        """Return the ledger's key of a call: it meets neither the API's nor those of facts."""
        return f"serve:{self.wired.code}:{asked}"


async def serve(
    db: AsyncConnection, *, wired: Wired, call: Call, now: datetime, keyring: Keyring
) -> Result:
    """Answer one call of a system; what moves points moves them once per key.

    Raises NobodyKnown, NothingSpent, Conflict and Malformed. Nothing is written about who was
    looked for: to be asked after is no sighting.
    """
    if isinstance(call, Accrue):
        return Noted()
    group = await programme(db)
    counter = _Counter(
        wired=wired, keyring=keyring, now=now, today=trading_day(now, group.time_zone)
    )
    match call:
        case Enquire():
            return await _enquire(db, counter, call)
        case Quote():
            return await _quote(db, counter, call)
        case Spend():
            return await _spend(db, counter, call)
        case Reverse():
            return await _reverse(db, counter, call)


async def _enquire(db: AsyncConnection, counter: _Counter, call: Enquire) -> Found:
    members: dict[int, None] = {}
    for hint in call.hints:
        kind = _KINDS.get(hint.type)
        if kind is not None:
            found = await find(db, kind=kind, value=hint.value, keyring=counter.keyring)
            members |= {} if found is None else {found: None}
    return Found(people=tuple(await _known(db, counter, list(members))))


async def _quote(db: AsyncConnection, counter: _Counter, call: Quote) -> Quoted:
    member_id = await _member(db, counter, call.loyalty_id)
    [person] = await _known(db, counter, [member_id])
    rule = await _acceptance(db, counter)
    refusals = tuple(_refusal(rule, person.points, ask, call.bill_minor) for ask in call.asks)
    return Quoted(person=person, refusals=refusals)


def _refusal(rule: AcceptanceRule | None, has: int, asked: int, bill_minor: int) -> str | None:
    if asked > has:
        return _too_few(has)
    try:
        if rule is not None:
            rule.check(asked, bill_minor=bill_minor)
    except Rejected as no:
        return no.message
    return None


async def _spend(db: AsyncConnection, counter: _Counter, call: Spend) -> Spent:
    member_id = await _member(db, counter, call.loyalty_id)
    business_id = counter.wired.business_id
    refusal = None
    try:
        answer = await redeem(
            db,
            business_id=business_id,
            member_id=member_id,
            account_id=await acting_account(db, member_id=member_id, business_id=business_id),
            points=call.points,
            idempotency_key=counter.key(call.key),
            occurred_at=counter.now,
            business_date=counter.business_date,
            today=counter.today,
            now=counter.now,
            acceptance=await _acceptance(db, counter),
            bill_minor=call.bill_minor,
            stopped_issuers=await stopped_at(db, business_id=business_id),
        )
        if answer.outcome is not Outcome.POSTED:
            refusal = _too_few(answer.available or 0)
    except Rejected as no:
        refusal = no.message
    [person] = await _known(db, counter, [member_id])
    return Spent(person=person, points=0 if refusal else call.points, refusal=refusal)


async def _reverse(db: AsyncConnection, counter: _Counter, call: Reverse) -> Reversed:
    business_id, key = counter.wired.business_id, counter.key(call.key)
    spent = await answered(db, business_id=business_id, idempotency_key=counter.key(call.spent_key))
    if spent is None or (spent.kind, spent.outcome) != (Kind.REDEEM, Outcome.POSTED):
        if spent is None and call.may_be_earn:
            return Reversed(points=0)
        raise NothingSpent("nothing was spent under this key", key=call.spent_key)
    # From here on nobody else gives back of it.
    await lock_balances(db, member_ids=[spent.member_id])
    before = await answered(db, business_id=business_id, idempotency_key=key)
    back = await restored(db, member_id=spent.member_id, redemption_tx=spent.tx_id)
    left = before.points if before else spent.points - back
    points = left if call.points is None else call.points
    if points == 0:
        return Reversed(points=0)
    answer = await restore(
        db,
        business_id=business_id,
        member_id=spent.member_id,
        redemption_tx=spent.tx_id,
        points=points,
        idempotency_key=key,
        occurred_at=counter.now,
        business_date=counter.business_date,
        today=counter.today,
        now=counter.now,
        grace_days=(await policies(db)).points(counter.now).restore_grace_days,
    )
    if answer.outcome is not Outcome.POSTED:
        raise NothingSpent("less than that is left of what was spent", key=call.spent_key)
    return Reversed(points=answer.points)


async def _member(db: AsyncConnection, counter: _Counter, loyalty_id: str) -> int:
    """Return whom a system means: by a number that it was given, or by a card of the group's."""
    keyring = counter.keyring
    found: int | None
    if served_numbers.is_served(loyalty_id):
        found = served_numbers.read(keyring, loyalty_id, connection=counter.wired.code)
    else:
        found = await find(db, kind=Identified.LOYALTY_ID, value=loyalty_id, keyring=keyring)
    now_is = await current_members(db, member_ids=[found]) if found is not None else {}
    if found not in now_is:
        raise NobodyKnown("no member has this loyalty number")
    return now_is[found]


async def _known(db: AsyncConnection, counter: _Counter, member_ids: Sequence[int]) -> list[Known]:
    """Return members as the business may see them, masked, with what they could spend now."""
    if not member_ids:
        return []
    wired, keyring = counter.wired, counter.keyring
    code = next(b.code for b in await businesses(db) if b.business_id == wired.business_id)
    views = await shown_to(
        db, member_ids=member_ids, business=code, now=counter.now, keyring=keyring
    )
    have = await balances(db, member_ids=member_ids, today=counter.today, now=counter.now)
    return [
        Known(
            loyalty_id=served_numbers.issue(keyring, member_id=one, connection=wired.code),
            points=have[one].available,
            name=_masked(views, one, "name"),
            phone=_masked(views, one, "phone"),
            email=_masked(views, one, "email"),
        )
        for one in member_ids
    ]


def _masked(views: dict[int, MemberView], member_id: int, attribute: str) -> str | None:
    shown: Shown | None = getattr(views.get(member_id), attribute, None)
    return None if shown is None else shown.masked


async def _acceptance(db: AsyncConnection, counter: _Counter) -> AcceptanceRule | None:
    return (await policies(db)).acceptance(counter.wired.business_id, counter.now)


def _too_few(has: int) -> str:
    return f"there are {has} points to spend"
