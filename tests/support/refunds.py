"""Three businesses whose systems speak canonically: what the tests of refunds play on."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Hint,
    HintType,
    Line,
    LineKind,
    Party,
    Refund,
    Role,
    SourceEvent,
    Tender,
    TenderKind,
    Totals,
)
from hub.crypto.keyring import Keyring
from hub.intake.connections import Wired
from hub.intake.deliveries import Opened
from hub.intake.process import process
from hub.ledger.codes import Outcome
from hub.ledger.verify import verify
from hub.points.expire import expire
from hub.points.redeem import redeem
from hub.programme.agree import AgreementConfig
from hub.programme.apply import (
    BusinessConfig,
    EarningRuleConfig,
    GroupConfig,
    ProgrammeConfig,
    apply,
)
from hub.programme.policy_config import ClawbackPolicyConfig, ExpiryPolicyConfig
from hub.settlement.begin_close import begin_close
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.place import place
from tests.support.earning import START, ZONE
from tests.support.ledger import NOON

SHOPS = {"hotel": 1, "dining": 2, "retail": 3}
NOVEMBER = NOON.replace(month=11, day=1)
NOVEMBER_ENDS = NOON.date().replace(month=11, day=30)
AFTERWARDS = NOON.replace(year=2028)
LIMIT = 50
PHONE = "+8613900000001"
Step = Callable[["Shops"], Awaitable[None]]


class Spoken:
    """A dialect whose events are canonical already."""

    def map(self, event: SourceEvent, posted: object, plug: Connection) -> list[CanonicalEvent]:
        assert event.snapshot is not None
        return [event.snapshot["said"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What must be the same whatever the order; nothing in it depends on who came first.

    `balance` is posted, owed, pending and available. `lots` are issuer, earned, remaining and last
    day. `short` is what clawbacks still lack, by mode. `settled` are obligations: issuer, acceptor,
    points and whether late.
    """

    balance: tuple[int, int, int, int]
    lots: list[tuple[Any, ...]]
    short: dict[int, int]
    settled: list[tuple[Any, ...]]


@dataclass(slots=True)
class Shops:
    """The group at work. Nothing commits: the caller rolls back."""

    db: AsyncConnection
    keyring: Keyring
    wired: dict[str, Wired]
    now: datetime = NOON

    async def hear(self, shop: str, *events: CanonicalEvent) -> list[tuple[Any, ...]]:
        """Take events in one batch, a delivery each; returns what came of the deliveries."""
        opened = []
        for event in events:
            body = repr(event).encode()
            delivery_id = await self.db.scalar(
                text("""
                  INSERT INTO delivery (connection_id, body, body_sha256, received_at)
                  VALUES (:c, :body, :sha, :now) RETURNING delivery_id"""),
                {
                    "c": self.wired[shop].connection_id,
                    "body": body,
                    "sha": hashlib.sha256(body).digest(),
                    "now": self.now,
                },
            )
            source = SourceEvent(
                type=event.type, entity=event.entity, entity_id=event.entity_id,
                snapshot={"said": event},
            )  # fmt: skip
            opened.append(
                Opened(
                    delivery_id=delivery_id,
                    wired=self.wired[shop],
                    topic=None,
                    body=body,
                    snapshots={},
                    events=[source],
                )
            )
        await process(self.db, deliveries=opened, now=self.now, keyring=self.keyring)
        rows = await self.db.execute(
            text("SELECT state, reason_field FROM delivery ORDER BY delivery_id")
        )
        return [tuple(row) for row in rows]

    async def member(self) -> int:
        return await self.db.scalar(text("SELECT member_id FROM member"))

    async def books(self, *, close_month: bool = True, lines_only: bool = False) -> Books:
        """Close the books of October and of November, and say what is in them.

        With `lines_only` a close stops at its lines, and neither nets nor states them.
        """
        assert await verify(self.db) == []
        if lines_only:
            await self.place()
        elif close_month:
            await self.close("2026-10")
            await self.close("2026-11")
        db = self.db
        balance = await db.execute(
            text("""
              SELECT posted, owed, pending, ledger_available(member_id, unit, :today, :now)
              FROM balance WHERE unit = 1"""),
            {"today": business_date(self.now, ZONE), "now": self.now},
        )
        lots = await db.execute(
            text("""
              SELECT code, earned, remaining, expires_on::text
              FROM lot JOIN business ON business_id = issuer_id
              ORDER BY code, earned_at, earned, remaining""")
        )
        short = await db.execute(
            text("""SELECT mode, sum(points - settled)::bigint FROM shortfall
              GROUP BY mode HAVING sum(points - settled) > 0""")
        )
        settled = await db.execute(
            text("""
              SELECT i.code, a.code, sum(o.points)::bigint, o.late FROM obligation o
              JOIN business i ON i.business_id = o.issuer_id
              JOIN business a ON a.business_id = o.acceptor_id
              GROUP BY 1, 2, 4 HAVING sum(o.points) <> 0 ORDER BY 1, 2, 4""")
        )
        return Books(
            balance=tuple(balance.one()),
            lots=[tuple(row) for row in lots],
            short={row[0]: row[1] for row in short},
            settled=[tuple(row) for row in settled],
        )

    async def close(self, code: str) -> None:
        period = await open_period(self.db, code=code, now=AFTERWARDS)
        await close(self.db, period_id=period.period_id, now=AFTERWARDS)

    async def place(self) -> None:
        """Write the lines of October and of November, in the first of them that is open."""
        for code in ("2026-10", "2026-11"):
            period = await open_period(self.db, code=code, now=AFTERWARDS)
            if period.state == "open":
                await begin_close(self.db, period_id=period.period_id, now=AFTERWARDS)
                await place(self.db, period=period, from_date=None, to_date=NOVEMBER_ENDS)
                break


async def open_shops(db: AsyncConnection, mode: str = "within_balance", **more: Any) -> Shops:
    """Configure three businesses that earn a point a yuan, and from November on the hotel three."""
    clawback = {"mode": mode, "limit_points": LIMIT if mode == "negative_to_limit" else None}
    rates = [(shop, START, "1") for shop in SHOPS] + [("hotel", NOVEMBER, "3")]
    await apply(
        db,
        config=ProgrammeConfig(
            group=GroupConfig(name="Three Rivers", time_zone=ZONE, currency="CNY"),
            businesses=[
                BusinessConfig(
                    code=shop,
                    name=shop,
                    kind=shop,
                    legal_entity=f"{shop}-ltd",
                    legal_name=f"{shop} Ltd",
                    currency="CNY",
                    country="CN",
                    time_zone=ZONE,
                )
                for shop in SHOPS
            ],
            agreements=[
                AgreementConfig(
                    issuer=i,
                    acceptor=a,
                    effective_from=START.date(),
                    rate_per_point="0.008",
                    currency="CNY",
                )
                for i in SHOPS
                for a in SHOPS
                if i != a
            ],
            earning_rules=tuple(
                EarningRuleConfig(
                    business=shop,
                    effective_from=since,
                    points_per_unit=rate,
                    qualifying_per_unit="1",
                    cost_per_point="0.008",
                )
                for shop, since, rate in rates
            ),
            expiry_policies=(ExpiryPolicyConfig(effective_from=START, mode="months", months=12),),
            **more,
            clawback_policies=tuple(
                ClawbackPolicyConfig(business=shop, effective_from=START, **clawback)
                for shop in SHOPS
            ),
        ),
    )
    wired = {}
    for shop, business_id in SHOPS.items():
        connection_id = await db.scalar(
            text("""
              INSERT INTO connection (code, business_id, connector, settings)
              VALUES (:code, :business_id, 'spoken', '') RETURNING connection_id"""),
            {"code": shop, "business_id": business_id},
        )
        plug = Connection(
            connection_id=shop, config=None, secrets=(), time_zone=ZONE, currency="CNY"
        )
        wired[shop] = Wired(
            connection_id=connection_id, code=shop, business_id=business_id,
            connector=Spoken(), plug=plug,  # type: ignore[arg-type]
        )  # fmt: skip
    return Shops(db, Keyring.generate(), wired)


def event(kind: EventType, fact: FactKey, at: datetime, **said: Any) -> CanonicalEvent:
    """A fact of the group's day, in yuan unless told otherwise."""
    facts = {"currency": "CNY", "entity": fact.kind, "entity_id": fact.id, **said}
    return CanonicalEvent(
        type=kind, fact=fact, occurred_at=at, business_date=business_date(at, ZONE), **facts
    )


def line(number: int, minor: int, *, reverses: str | None = None) -> Line:
    return Line(
        id=str(number), kind=LineKind.ITEM, gross_minor=minor, net_minor=minor, reverses=reverses
    )


def tenders(cash: int, points: int, reference: str | None) -> tuple[Tender, ...]:
    paid = (
        Tender(id="c", kind=TenderKind.CASH, amount_minor=cash),
        Tender(id="p", kind=TenderKind.POINTS, amount_minor=points, reference=reference),
    )
    return tuple(tender for tender in paid if tender.amount_minor)


def bill(
    number: str,
    *nets: int,
    points: int = 0,
    reference: str | None = "till-1",
    at: datetime = NOON,
    phone: str = PHONE,
) -> CanonicalEvent:
    """A bill of these lines, paid in points as far as said and else in cash."""
    total = sum(nets)
    shown = Hint(type=HintType.PHONE, value=phone, verified=True)
    party = Party(role=Role.PURCHASER, external_id=None, hints=(shown,))
    return event(
        EventType.SALE_COMPLETED, FactKey("sale", number), at,
        lines=tuple(line(n, net) for n, net in enumerate(nets)),
        tenders=tenders(total - points, points, reference),
        totals=Totals(net_minor=total, tax_minor=0, tip_minor=0, total_minor=total),
        parties=(party,),
    )  # fmt: skip


def refund(
    number: str,
    of: str,
    amount: int,
    *,
    points: int | None = None,
    reference: str | None = None,
    nets: dict[str, int] | None = None,
    at: datetime = NOON + timedelta(hours=2),
    currency: str = "CNY",
) -> CanonicalEvent:
    """A refund of a bill. `points` None: it does not say in what it was paid back."""
    named = nets or {}
    return event(
        EventType.REFUND_RECORDED, FactKey("refund", number), at, currency=currency,
        lines=tuple(line(n, net, reverses=sold) for n, (sold, net) in enumerate(named.items())),
        tenders=() if points is None else tenders(amount - points, points, reference),
        refund=Refund(
            original=FactKey("sale", of), amount_minor=amount,
            unallocated_minor=amount - sum(named.values()),
        ),
    )  # fmt: skip


def void_of(number: str, at: datetime = NOON + timedelta(hours=3)) -> CanonicalEvent:
    return event(
        EventType.SALE_VOIDED, FactKey("void", number), at, entity="sale", entity_id=number
    )


def heard(shop: str, said: CanonicalEvent) -> Step:
    """A step: the shop's system says this."""

    async def step(shops: Shops) -> None:
        await shops.hear(shop, said)

    return step


def spend(shop: str, points: int, *, key: str = "till-1") -> Step:
    """A step: the member spends points at a till, which asks under this key."""

    async def step(shops: Shops) -> None:
        answer = await redeem(
            shops.db, business_id=SHOPS[shop], member_id=await shops.member(), points=points,
            idempotency_key=f"api:{key}", occurred_at=shops.now,
            business_date=business_date(shops.now, ZONE), today=business_date(shops.now, ZONE),
            now=shops.now,
        )  # fmt: skip
        assert answer.outcome is Outcome.POSTED

    return step


def later(at: datetime) -> Step:
    """A step: time passes, and what has ended by then is expired."""

    async def step(shops: Shops) -> None:
        shops.now = at
        await expire(shops.db, today=business_date(at, ZONE), now=at)

    return step


def closing(code: str) -> Step:
    """A step: a month is closed."""

    async def step(shops: Shops) -> None:
        await shops.close(code)

    return step


async def every_order(shops: Shops, first: Iterable[Step], then: Iterable[Step]) -> list[Books]:
    """Return the books of every order of the steps in `then`, each after `first`.

    One order's months are closed, all others' lines written: of the same lines a close, which takes
    most of the time, makes the same again.
    """
    found: list[Books] = []

    async def go_on(steps: tuple[Step, ...], left: tuple[Step, ...]) -> None:
        """Take the steps, then every order of those that are left; leave nothing behind."""
        begins = shops.now
        async with shops.db.begin_nested() as attempt:
            for step in steps:
                await step(shops)
            if not left:
                found.append(await shops.books(lines_only=bool(found)))
            for i, step in enumerate(left):
                if step not in left[:i]:
                    await go_on((step,), (*left[:i], *left[i + 1 :]))
            await attempt.rollback()
        shops.now = begins

    await go_on(tuple(first), tuple(then))
    return found
