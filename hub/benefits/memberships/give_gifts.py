"""Give gifts: the points and vouchers of paid periods, and back what is refunded of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.facts import lock_memberships
from hub.benefits.memberships.gifts import Period, members_due, periods_due
from hub.benefits.memberships.take_points import take_points
from hub.benefits.vouchers.assign_voucher import assign_voucher
from hub.benefits.vouchers.claim import lock_vouchers
from hub.benefits.vouchers.queries import vouchers_by_id
from hub.benefits.vouchers.void import void_voucher
from hub.clock import business_date
from hub.crypto.keyring import Keyring
from hub.errors import HubError, Rejected
from hub.ledger.post import lock_balances, post_earns
from hub.points.acting_account import acting_account
from hub.points.bonus import bonus
from hub.programme.queries import Business, Terms, businesses, terms

CHUNK_MEMBERS = 100
_ACTOR = "membership plan"

_KEEP = text("""
INSERT INTO membership_gift (fact_id, number, points, tx_id, voucher_id, given_at)
VALUES (:fact_id, :number, :points, :tx_id, :voucher_id, :now)
""")
_TAKEN = text("""
UPDATE membership_gift SET taken_at = :now WHERE fact_id = :fact_id AND number = :number
""")
_LATER = text("""
UPDATE membership_term SET gives_on = CAST(:day AS date) WHERE fact_id = :fact_id
""")


@dataclass(slots=True, kw_only=True)
class GivenChunk:
    """How many gifts were given or taken back, why others were not, and where to go on."""

    moved: int = 0
    refused: list[str] = field(default_factory=list)
    last_member_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """What every gift asks of the group."""

    in_force: Terms
    shops: dict[int, Business]
    today: date
    now: datetime
    keyring: Keyring


_Move = Callable[[AsyncConnection, _Group, Period], Awaitable[tuple[int, bool]]]
"""Gives or takes back; returns how many gifts, and whether to look again tomorrow."""


async def give_gifts(
    db: AsyncConnection,
    *,
    now: datetime,
    time_zone: str,
    keyring: Keyring,
    member_ids: Sequence[int] | None = None,
    after_member_id: int = 0,
    members: int = CHUNK_MEMBERS,
) -> GivenChunk:
    """See that the next members' paid periods have what they are due, and no more.

    A period that has begun has its plan's points and vouchers. Of one whose money is given back,
    points are taken back in proportion, by their issuer's clawback policy where they are spent,
    and vouchers that nobody used are voided once it is cut short. Doing it again moves nothing.
    What cannot be given (a campaign that is over) is tried again the next day. `member_ids`: of
    these alone. Call it first in a transaction: balances are locked before plans.
    """
    today = business_date(now, time_zone)
    if member_ids is None:
        member_ids = await members_due(db, today=today, after=after_member_id, limit=members)
    if not member_ids:
        return GivenChunk()
    await lock_balances(db, member_ids=member_ids)
    await lock_memberships(db, member_ids=member_ids)
    chunk = GivenChunk(last_member_id=max(member_ids))
    periods = await periods_due(db, member_ids=member_ids, today=today)
    group = _Group(
        in_force=await terms(db),
        shops={one.business_id: one for one in await businesses(db)},
        today=today,
        now=now,
        keyring=keyring,
    )
    # Vouchers are locked by number, before any member's limit is looked at.
    ending = [gift.voucher_id for one in periods if not one.keeps_vouchers for gift in one.given]
    await lock_vouchers(db, voucher_ids=[number for number in ending if number is not None])
    for period in periods:
        await _one(db, group, period, chunk)
    await db.execute(
        text("""
          UPDATE membership_term SET gives_on = NULL
          WHERE member_id = ANY (CAST(:ids AS bigint[])) AND gives_on <= :today
            AND fact_id <> ALL (CAST(:looked_at AS bigint[]))"""),
        {"ids": list(member_ids), "today": today, "looked_at": [one.fact_id for one in periods]},
    )
    return chunk


async def _one(db: AsyncConnection, group: _Group, period: Period, chunk: GivenChunk) -> None:
    """Give a period what it is due, or take it back, and say when to look at it again."""
    later: date | None = None
    if not period.void and period.starts_on > group.today and not period.given:
        later = period.starts_on
    else:
        again = [await _tried(db, move, group, period, chunk) for move in (_points, _vouchers)]
        if any(again):
            later = group.today + timedelta(days=1)
    await db.execute(_LATER, {"fact_id": period.fact_id, "day": later})


async def _tried(
    db: AsyncConnection, move: _Move, group: _Group, period: Period, chunk: GivenChunk
) -> bool:
    """Move, all of it or nothing; returns whether to try again: while the period lasts."""
    try:
        async with db.begin_nested():
            moved, again = await move(db, group, period)
    except HubError as why:
        if why.retryable:
            raise
        chunk.refused.append(why.message)
        return group.today <= period.ends_on
    chunk.moved += moved
    return again


async def _points(db: AsyncConnection, group: _Group, period: Period) -> tuple[int, bool]:
    """Give the points that are missing, or take back what is too many."""
    over = period.points_had - period.points_due
    if over == 0 or period.issuer_id is None:
        return 0, False
    shop = group.shops[period.issuer_id]
    if over > 0:
        policy = group.in_force.policies.clawback(shop.business_id, group.now)
        return await take_points(db, period, over, shop=shop, policy=policy, now=group.now), False
    account_id = await acting_account(
        db, member_id=period.member_id, business_id=shop.business_id, elsewhere=True
    )
    if account_id is None:
        raise Rejected(f"member {period.member_id} has no account to put points on")
    number = await _next(db, period)
    earn = bonus(
        group.in_force,
        issuer_id=shop.business_id,
        member_id=period.member_id,
        account_id=account_id,
        points=-over,
        idempotency_key=f"plan:{period.fact_id}:{number}",
        business_date=business_date(
            group.now, shop.time_zone, day_starts_at_hour=shop.day_starts_at_hour
        ),
        now=group.now,
    )
    (tx_id,) = (await post_earns(db, [earn])).values()
    await _keep(db, group, period, number, points=-over, tx_id=tx_id)
    return 1, False


async def _vouchers(db: AsyncConnection, group: _Group, period: Period) -> tuple[int, bool]:
    """Give the vouchers that are missing, or void those that nobody used.

    Where one is reserved at a till it must be seen what becomes of it.
    """
    moved = 0
    live = [one for one in period.given if one.voucher_id is not None and not one.taken]
    if not period.keeps_vouchers:
        numbers = [one.voucher_id for one in live if one.voucher_id is not None]
        found = await vouchers_by_id(db, voucher_ids=numbers, now=group.now)
        for gift in live:
            voucher = found[gift.voucher_id or 0]
            if voucher.used == 0 and voucher.held == 0:
                await void_voucher(
                    db, voucher_id=voucher.voucher_id, actor=_ACTOR,
                    reason="the plan's period was refunded", now=group.now,
                )  # fmt: skip
                facts = {"fact_id": period.fact_id, "number": gift.number, "now": group.now}
                await db.execute(_TAKEN, facts)
                moved += 1
        return moved, any(voucher.held > 0 for voucher in found.values())
    for asked in period.vouchers:
        had = sum(one.campaign == asked["campaign"] for one in live)
        for _ in range(asked["quantity"] - had):
            number = await _next(db, period)
            voucher = await assign_voucher(
                db, campaign_code=asked["campaign"], member_id=period.member_id, source="plan",
                source_id=f"{period.fact_id}:{number}", now=group.now, keyring=group.keyring,
                actor=_ACTOR,
            )  # fmt: skip
            await _keep(db, group, period, number, voucher_id=voucher.voucher_id)
            moved += 1
    return moved, False


async def _next(db: AsyncConnection, period: Period) -> int:
    """Return the number of the period's next gift."""
    last: int | None = await db.scalar(
        text("SELECT max(number) FROM membership_gift WHERE fact_id = :id"), {"id": period.fact_id}
    )
    return (last or 0) + 1


async def _keep(
    db: AsyncConnection,
    group: _Group,
    period: Period,
    number: int,
    *,
    points: int | None = None,
    tx_id: int | None = None,
    voucher_id: int | None = None,
) -> None:
    await db.execute(
        _KEEP,
        {
            "fact_id": period.fact_id, "number": number, "points": points, "tx_id": tx_id,
            "voucher_id": voucher_id, "now": group.now,
        },
    )  # fmt: skip
