"""Order: a member has a reward for points, at once or when its money has been paid."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.rewards.codes import OVER, OrderOutcome, OrderState
from hub.benefits.rewards.digital import hand_out
from hub.benefits.rewards.queries import HOLDER
from hub.benefits.rewards.step import step
from hub.benefits.rewards.stock import take_piece
from hub.benefits.vouchers.assign_voucher import VoucherLimitReached
from hub.crypto.keyring import Keyring
from hub.errors import Malformed, NotFound, Rejected
from hub.ledger.codes import Outcome
from hub.ledger.post import Answer
from hub.points.acting_account import acting_account
from hub.points.answers import key_used
from hub.points.checks import named
from hub.points.hold import hold
from hub.points.purpose import Purpose
from hub.points.redeem import redeem

LONGEST_KEY = 300


class _NotHad(Exception):
    """Ends the savepoint in which points were spent: what they were for is not to be had."""

    def __init__(self, outcome: OrderOutcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAnswer:
    """The hub's word on one request: now, or as it was given when the key came first.

    `available` is how many points could have been spent, where too few could.
    """

    order_id: int
    outcome: OrderOutcome
    replayed: bool
    available: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Who hands the reward out, on which trading day, and whose points it takes no more of."""

    business_id: int
    business_date: date
    stopped_issuers: Collection[int] = ()


async def order(
    db: AsyncConnection,
    *,
    member_id: int,
    reward_code: str,
    shop: Shop,
    actor: str,
    idempotency_key: str,
    today: date,
    now: datetime,
    time_zone: str,
    keyring: Keyring,
) -> OrderAnswer:
    """Order a reward of `shop` for the member: points are spent, and a piece is taken for them.

    A reward that costs money too has its points held until `pay` or its time is over. A voucher or
    a benefit is the member's at once, unless it waits for money. Whatever
    cannot be is an answer, stored under the key. `today` is the group's date, `time_zone` the
    group's, in which a limit's year or month begins. Raises NotFound for a reward that the shop
    does not have, Malformed for a bad key, Conflict when the key was used for another request.
    """
    named(actor)
    if not 1 <= len(idempotency_key) <= LONGEST_KEY:
        raise Malformed(f"a key has 1 to {LONGEST_KEY} characters", field="idempotency_key")
    terms = await _terms(db, reward_code, shop.business_id, now)
    account_id = await acting_account(
        db, member_id=member_id, business_id=shop.business_id, elsewhere=True
    )
    order_id = await _begin(
        db, terms, member_id, account_id=account_id, idempotency_key=idempotency_key, now=now
    )
    if order_id is None:
        return await _replayed(db, member_id, terms, idempotency_key)
    why = await _refuse(db, terms, order_id, member_id, now=now, time_zone=time_zone)
    if why is not None:
        return await _declined(db, order_id, why)
    try:
        async with db.begin_nested():
            spent = await _spend(
                db,
                terms,
                order_id,
                member_id,
                account_id=account_id,
                shop=shop,
                today=today,
                now=now,
            )
            posted = spent.outcome is Outcome.POSTED
            handed = False
            if posted and terms.price_minor == 0:
                handed = await _hand_out(
                    db, order_id, member_id, actor=actor, today=today, now=now, keyring=keyring
                )
            if posted and terms.counted:
                await _take(db, order_id, actor=actor, now=now)
    except _NotHad as no:
        return await _declined(db, order_id, no.outcome)
    except Rejected as stopped:  # some are points that the shop takes no more of
        points = stopped.facts.get("nearest_points")
        available = points if isinstance(points, int) else None
        return await _declined(db, order_id, OrderOutcome.ISSUER_STOPPED, available)
    if not posted:
        return await _declined(db, order_id, OrderOutcome.INSUFFICIENT_POINTS, spent.available)
    await _ordered(db, terms, order_id, spent, actor=actor, now=now)
    if handed:
        await step(db, order_id=order_id, state=OrderState.FULFILLED, actor=actor, now=now)
    return OrderAnswer(
        order_id=order_id, outcome=OrderOutcome.ORDERED, replayed=False, available=None
    )


async def _terms(db: AsyncConnection, code: str, business_id: int, now: datetime) -> Row[Any]:
    """Return the terms in force, or those to come where none are yet; raises NotFound."""
    row = (
        await db.execute(
            text("""
              SELECT r.reward_id, r.business_id, r.code, t.*
              FROM reward r JOIN reward_terms t USING (reward_id)
              WHERE r.code = :code AND r.business_id = :business_id
              ORDER BY t.effective_from <= :now DESC,
                CASE WHEN t.effective_from <= :now THEN t.effective_from END DESC,
                t.effective_from
              LIMIT 1"""),
            {"code": code, "business_id": business_id, "now": now},
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no reward {code!r}", field="reward")
    return row


async def _begin(
    db: AsyncConnection,
    terms: Row[Any],
    member_id: int,
    *,
    account_id: int | None,
    idempotency_key: str,
    now: datetime,
) -> int | None:
    """Take the key; returns the order's number, None when the key was taken before.

    Who comes with the same key at the same time waits here.
    """
    made: int | None = await db.scalar(
        text("""
          INSERT INTO reward_order (member_id, account_id, reward_id, business_id, points,
            price_minor, currency, ordered_at, idempotency_key)
          VALUES (:member_id, :account_id, :reward_id, :business_id, :points, :price_minor,
            :currency, :now, :key)
          ON CONFLICT (idempotency_key) DO NOTHING RETURNING order_id"""),
        {
            "member_id": member_id,
            "account_id": account_id,
            "reward_id": terms.reward_id,
            "business_id": terms.business_id,
            "points": terms.points,
            "price_minor": terms.price_minor,
            "currency": terms.currency,
            "now": now,
            "key": idempotency_key,
        },
    )
    return made


async def _replayed(
    db: AsyncConnection, member_id: int, terms: Row[Any], idempotency_key: str
) -> OrderAnswer:
    stored = (
        await db.execute(
            text("""
              SELECT order_id, outcome, available, r.code, o.reward_id,
                o.member_id = ANY (ledger_kin(ARRAY[CAST(:member_id AS bigint)])) AS theirs
              FROM reward_order o JOIN reward r USING (reward_id) WHERE idempotency_key = :key"""),
            {"member_id": member_id, "key": idempotency_key},
        )
    ).one()
    if stored.reward_id != terms.reward_id:
        raise key_used("reward", stored.code)
    if not stored.theirs:
        raise key_used("member_id", "another member")
    return OrderAnswer(
        order_id=stored.order_id,
        outcome=OrderOutcome(stored.outcome),
        replayed=True,
        available=stored.available,
    )


async def _refuse(
    db: AsyncConnection,
    terms: Row[Any],
    order_id: int,
    member_id: int,
    *,
    now: datetime,
    time_zone: str,
) -> OrderOutcome | None:
    """Return why the member may not have it, leaving points and stock aside; None: they may."""
    if now < terms.effective_from or (terms.available_until and now >= terms.available_until):
        return OrderOutcome.NOT_AVAILABLE
    # Two orders of a member at once are counted one after the other.
    await db.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('reward_order', :member_id))"),
        {"member_id": member_id},
    )
    row = (
        await db.execute(
            text(f"""
              SELECT CAST(:tier_id AS smallint) IS NULL OR EXISTS (
                  SELECT 1 FROM member_tier m JOIN tier has ON has.tier_id = m.tier_id
                  JOIN tier asks ON asks.tier_id = :tier_id
                  WHERE m.member_id = :member_id AND m.until IS NULL
                    AND has.ladder_id = asks.ladder_id AND has.rank >= asks.rank
                ) AS on_tier,
                (SELECT count(*) FROM reward_order o
                  WHERE o.member_id = ANY (ledger_kin(ARRAY[CAST(:member_id AS bigint)]))
                    AND {HOLDER} = :member_id
                    AND o.reward_id = :reward_id AND o.order_id <> :order_id
                    AND o.state <> ALL (CAST(:over AS text[]))
                    AND o.ordered_at >= :since) AS had"""),  # noqa: S608 - a constant of ours
            {
                "tier_id": terms.tier_id,
                "member_id": member_id,
                "reward_id": terms.reward_id,
                "order_id": order_id,
                "over": list(OVER),
                "since": _since(terms.limit_period, now, time_zone),
            },
        )
    ).one()
    if not row.on_tier:
        return OrderOutcome.TIER_REQUIRED
    if terms.limit_orders is not None and row.had >= terms.limit_orders:
        return OrderOutcome.LIMIT_REACHED
    return None


def _since(period: str, now: datetime, time_zone: str) -> datetime:
    """Return when the period of a limit began."""
    zone = ZoneInfo(time_zone)
    local = now.astimezone(zone)
    if period == "lifetime":
        return datetime(1970, 1, 1, tzinfo=zone)
    return datetime(local.year, local.month if period == "month" else 1, 1, tzinfo=zone)


async def _spend(
    db: AsyncConnection,
    terms: Row[Any],
    order_id: int,
    member_id: int,
    *,
    account_id: int | None,
    shop: Shop,
    today: date,
    now: datetime,
) -> Answer:
    """Spend the points, or hold them while money is waited for."""
    facts = {
        "business_id": terms.business_id,
        "member_id": member_id,
        "account_id": account_id,
        "points": terms.points,
        "idempotency_key": f"reward:{order_id}",
        "occurred_at": now,
        "business_date": shop.business_date,
        "today": today,
        "now": now,
        "purpose": Purpose(award=terms.code, category=terms.category),
        "stopped_issuers": shop.stopped_issuers,
    }
    if terms.price_minor == 0:
        return await redeem(db, **facts)
    return await hold(db, **facts, ttl_seconds=terms.pay_within_seconds)


async def _take(db: AsyncConnection, order_id: int, *, actor: str, now: datetime) -> None:
    if not await take_piece(db, order_id=order_id, actor=actor, now=now):
        raise _NotHad(OrderOutcome.OUT_OF_STOCK)


async def _hand_out(
    db: AsyncConnection,
    order_id: int,
    member_id: int,
    *,
    actor: str,
    today: date,
    now: datetime,
    keyring: Keyring,
) -> bool:
    try:
        return await hand_out(
            db, order_id=order_id, member_id=member_id, actor=actor, today=today, now=now,
            keyring=keyring,
        )  # fmt: skip
    except VoucherLimitReached:
        raise _NotHad(OrderOutcome.LIMIT_REACHED) from None
    except (NotFound, Rejected):
        raise _NotHad(OrderOutcome.NOT_AVAILABLE) from None


async def _declined(
    db: AsyncConnection, order_id: int, outcome: OrderOutcome, available: int | None = None
) -> OrderAnswer:
    await db.execute(
        text("""
          UPDATE reward_order SET outcome = :outcome, available = :available
          WHERE order_id = :order_id"""),
        {"outcome": outcome, "available": available, "order_id": order_id},
    )
    return OrderAnswer(order_id=order_id, outcome=outcome, replayed=False, available=available)


async def _ordered(
    db: AsyncConnection,
    terms: Row[Any],
    order_id: int,
    spent: Answer,
    *,
    actor: str,
    now: datetime,
) -> None:
    waits = terms.price_minor > 0
    state = OrderState.AWAITING_PAYMENT if waits else OrderState.CONFIRMED
    await db.execute(
        text("""
          UPDATE reward_order SET outcome = 'ordered', state = :state, tx_id = :tx_id,
            hold_id = :hold_id, pay_by = :pay_by
          WHERE order_id = :order_id"""),
        {
            "state": state,
            "tx_id": None if waits else spent.tx_id,
            "hold_id": spent.tx_id if waits else None,
            "pay_by": now + timedelta(seconds=terms.pay_within_seconds) if waits else None,
            "order_id": order_id,
        },
    )
    await step(db, order_id=order_id, state=state, actor=actor, now=now)
