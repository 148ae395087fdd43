"""A bank full of clients: random verbs on a few members, each in a transaction of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.ledger.codes import Kind, Outcome, ShortfallMode
from hub.ledger.post import (
    Answer,
    post_activation,
    post_adjustment,
    post_clawback,
    post_earns,
    post_extension,
    post_move,
    post_recovery,
    post_reinstatement,
)
from hub.points.capture import capture
from hub.points.expire import expire
from hub.points.hold import hold
from hub.points.lapse import lapse
from hub.points.redeem import redeem
from hub.points.restore import restore
from hub.points.void import void
from tests.support.ledger import COST, NOON, lot
from tests.support.tills import at_once, driver, introduce, open_tills

POOL = 6
MEMBERS = range(1, POOL + 1)
BUSINESSES = (1, 2, 3)
OPERATIONS_A_DAY = 60

# Per unit: what members have by their balances and their lots, and what entries say of every side.
_TOTALS = {
    "balances": "SELECT unit, sum(posted)::bigint, sum(owed)::bigint FROM balance GROUP BY 1",
    "lots": "SELECT unit, sum(remaining)::bigint, 0 FROM lot GROUP BY 1",
    "members": """
      SELECT unit, sum(CASE 1 WHEN credit THEN points WHEN debit THEN -points ELSE 0 END)::bigint, 0
      FROM entry GROUP BY 1""",
    "others": """
      SELECT unit, (coalesce(sum(points) FILTER (WHERE credit <> 1), 0)
        - coalesce(sum(points) FILTER (WHERE debit <> 1), 0))::bigint, 0 FROM entry GROUP BY 1""",
    "moved": """
      SELECT unit, sum(CASE debit WHEN 50 THEN points ELSE -points END)::bigint, 0
      FROM entry WHERE 50 IN (debit, credit) GROUP BY 1""",
}


@dataclass
class Earned:
    """A sale's points, and how many a refund may still take back."""

    member: int
    business: int
    tx_id: int
    left: int


class Bank:
    """What the clients share: a clock that moves on as they work, and what they may refer to."""

    def __init__(self, engine: AsyncEngine, seed: int) -> None:
        self.engine = engine
        self.seed = seed
        self.done = 0
        self.outcomes: dict[tuple[str, Outcome | None], int] = {}
        self.earned: list[Earned] = []
        self.holds: list[tuple[int, int, int]] = []  # member, business, hold
        self.spent: list[tuple[int, int, int]] = []  # member, business, redemption
        self.owing: list[tuple[int, int, int]] = []  # member, business, clawback

    @property
    def now(self) -> datetime:
        return NOON + timedelta(days=self.done // OPERATIONS_A_DAY, seconds=self.done)

    @property
    def today(self) -> date:
        return self.now.date()

    async def serve(self, *, clients: int, operations: int) -> None:
        """Let so many clients do so many operations each, all at once."""
        async with self.engine.begin() as db:
            await open_tills(db)
            self.till = await introduce(db, MEMBERS, business_id=TILL)
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self._client(number, operations))

    async def _client(self, number: int, operations: int) -> None:
        dice = Random(f"{self.seed}:{number}")
        async with self.engine.connect() as db:
            for turn in range(operations):
                verb = dice.choice(VERBS)
                facts = {
                    "idempotency_key": f"{number}-{turn}",
                    "occurred_at": self.now,
                    "business_date": self.today,
                    "now": self.now,
                }
                async with db.begin():
                    answer = await verb(self, db, dice, facts)
                self.done += 1
                came = verb.__name__, answer.outcome if answer else None
                self.outcomes[came] = self.outcomes.get(came, 0) + 1
                if answer is not None and answer.outcome is Outcome.POSTED:
                    self._remember(answer, dice)

    def _remember(self, answer: Answer, dice: Random) -> None:
        """What was committed may be referred to."""
        business = {Kind.HOLD: self.holds, Kind.REDEEM: self.spent, Kind.CAPTURE: self.spent}
        if answer.kind in business:
            business[answer.kind].append((answer.member_id, TILL, answer.tx_id))
        if answer.kind is Kind.CLAWBACK and answer.shortfall:
            issuer = next(e.business for e in self.earned if e.tx_id == answer.reference_tx)
            self.owing.append((answer.member_id, issuer, answer.tx_id))


TILL = 2
Verb = Callable[[Bank, AsyncConnection, Random, dict[str, Any]], Awaitable[Answer | None]]


async def earn(bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]) -> None:
    requests = [
        replace(
            lot(member, dice.randint(50, 300), business_id=dice.choice(BUSINESSES)),
            idempotency_key=f"{facts['idempotency_key']}-{n}",
            expires_on=facts["now"].date() + timedelta(days=dice.randint(0, 6)),
            qualifying=10,
            occurred_at=facts["now"],
            business_date=facts["business_date"],
            activates_at=facts["now"] + timedelta(days=1) if dice.random() < 0.2 else None,
            idle_months=1 if dice.random() < 0.1 else None,
        )
        for n, member in enumerate(dice.sample(MEMBERS, dice.randint(1, 3)))
    ]
    posted = await post_earns(db, requests, now=facts["now"])
    bank.earned += [
        Earned(r.member_id, r.business_id, posted[r.business_id, r.idempotency_key], r.points)
        for r in requests
    ]


async def spend(bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]) -> Answer:
    asked = {"member_id": dice.choice(MEMBERS), "business_id": TILL, "points": dice.randint(1, 200)}
    asked |= {**facts, "today": facts["business_date"]}
    if dice.random() < 0.5:
        return await redeem(db, **asked)
    done = await at_once(driver(db), bank.till, **asked)
    assert done is not None
    return done


async def set_aside(bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]) -> Answer:
    asked = {"member_id": dice.choice(MEMBERS), "business_id": TILL, "points": dice.randint(1, 200)}
    return await hold(db, **facts, **asked, today=facts["business_date"], ttl_seconds=36 * 3600)


async def end(
    bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]
) -> Answer | None:
    if not bank.holds:
        return None
    member, business, hold_id = dice.choice(bank.holds)
    verb = dice.choice([capture, void])
    asked = {"member_id": member, "business_id": business, "hold_id": hold_id}
    return await verb(db, **facts, **asked, points=dice.choice([None, 20, 50]))


async def refund(
    bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]
) -> Answer | None:
    sales = [sale for sale in bank.earned if sale.left]
    if not sales:
        return None
    sale = dice.choice(sales)
    points = min(sale.left, dice.randint(20, 300))
    sale.left -= points
    try:
        return await post_clawback(
            db,
            **facts,
            business_id=sale.business,
            member_id=sale.member,
            account_id=sale.member,
            earn_tx=sale.tx_id,
            points=points,
            qualifying=0,
            mode=dice.choice(list(ShortfallMode)),
            limit=dice.choice([0, 100, 1000]),
        )
    except BaseException:
        sale.left += points
        raise


async def give_back(
    bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]
) -> Answer | None:
    if not bank.spent:
        return None
    member, business, redemption = dice.choice(bank.spent)
    asked = {"member_id": member, "business_id": business, "redemption_tx": redemption}
    points = dice.randint(1, 100)
    return await restore(db, **facts, **asked, today=facts["business_date"], points=points)


async def move(bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]) -> Answer:
    giver, taker = dice.sample(MEMBERS, 2)
    kind = Kind.CONTRIBUTE if taker == POOL else Kind.LEAVE if giver == POOL else Kind.TRANSFER
    return await post_move(
        db,
        **facts,
        business_id=TILL,
        kind=kind,
        from_id=giver,
        to_id=taker,
        account_id=None,
        to_account_id=None,
        points=None if kind is Kind.LEAVE else dice.randint(1, 200),
        year=facts["now"].year,
        today=facts["business_date"],
        origin_id=taker if kind is Kind.LEAVE else None,
    )


async def adjust(bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]) -> Answer:
    return await post_adjustment(
        db,
        **facts,
        business_id=dice.choice(BUSINESSES),
        member_id=dice.choice(MEMBERS),
        account_id=1,
        points=dice.choice([-1, 1]) * dice.randint(1, 100),
        cost_rate=COST,
        expires_on=facts["business_date"] + timedelta(days=3),
        reason="counted again",
        today=facts["business_date"],
    )


async def sweep(bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]) -> None:
    await expire(db, today=facts["business_date"], now=facts["now"])


async def let_lapse(bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]) -> None:
    await lapse(db, now=facts["now"], business_date=facts["business_date"])


async def activate(bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]) -> None:
    members = dice.sample(MEMBERS, len(MEMBERS))
    await post_activation(db, member_ids=members, now=facts["now"])


async def extend(bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]) -> Answer:
    return await post_extension(
        db,
        business_id=TILL,
        idempotency_key=facts["idempotency_key"],
        member_id=dice.choice(MEMBERS),
        lot_id=None,
        until=facts["business_date"] + timedelta(days=2),
        reason="a typhoon",
        business_date=facts["business_date"],
        today=facts["business_date"],
        now=facts["now"],
    )


async def reinstate(
    bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]
) -> Answer | None:
    if not bank.earned:
        return None
    sale = dice.choice(bank.earned)
    return await post_reinstatement(
        db,
        **facts,
        business_id=TILL,
        member_id=sale.member,
        lot_id=sale.tx_id,
        points=None,
        until=facts["business_date"] + timedelta(days=2),
        reason="was ill",
    )


async def recover(
    bank: Bank, db: AsyncConnection, dice: Random, facts: dict[str, Any]
) -> Answer | None:
    if not bank.owing:
        return None
    member, business, clawback = dice.choice(bank.owing)
    asked = {"member_id": member, "business_id": business, "clawback_tx": clawback}
    return await post_recovery(db, **facts, **asked, points=None, reason="paid in cash")


VERBS: tuple[Verb, ...] = (
    earn, earn, earn, spend, spend, set_aside, set_aside, end, end, refund, refund, give_back, move,
    move, adjust, sweep, let_lapse, activate, extend, reinstate, recover,
)  # fmt: skip


async def totals(db: AsyncConnection) -> dict[int, dict[str, int]]:
    """What each unit comes to by each of the ways to count it, and what is wrong with that."""
    found: dict[int, dict[str, int]] = {}
    for name, query in _TOTALS.items():
        for unit, n, owed in await db.execute(text(query)):
            found.setdefault(unit, dict.fromkeys(("owed", *_TOTALS), 0))[name] = n
            if name == "balances":
                found[unit]["owed"] = owed
    return found


async def read_on(bank: Bank, still_open: asyncio.Event) -> int:
    """Count everything, in one snapshot each time, until the bank closes; returns how often."""
    reads = 0
    async with bank.engine.connect() as plain:
        db = await plain.execution_options(isolation_level="REPEATABLE READ")
        while still_open.is_set() or reads == 0:
            async with db.begin():
                for unit, total in (await totals(db)).items():
                    assert total["balances"] == total["members"], (unit, total)
                    assert total["balances"] + total["others"] == 0, (unit, total)
                    assert total["moved"] == 0, (unit, total)
                    if unit != 2:
                        assert total["lots"] == total["balances"] + total["owed"], (unit, total)
            reads += 1
    return reads
