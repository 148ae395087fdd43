"""A request's connection is cut after any of its statements: asked again, it has one effect."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import await_only

from hub.db.engine import make_engine
from hub.ledger.codes import Kind, ShortfallMode
from hub.ledger.post import (
    post_activation,
    post_adjustment,
    post_clawback,
    post_earns,
    post_move,
    post_recovery,
)
from hub.ledger.verify import verify
from hub.points.capture import capture
from hub.points.expire import expire
from hub.points.hold import hold
from hub.points.lapse import lapse
from hub.points.redeem import redeem
from hub.points.restore import restore
from hub.points.void import void
from hub.programme.acting import Acting
from tests.integration.test_intake import NOWHERE, sent
from tests.integration.test_lock_order import bought_by
from tests.support.ledger import COST, NOON, TODAY, lot
from tests.support.sandbox import Hub
from tests.support.tills import at_once, introduce, open_tills

LATER = NOON + timedelta(days=3)
FRIEND = 1_000  # whoever a member's points move to
# What a request leaves behind, without numbers that differ each time.
EFFECT = """
SELECT kind, outcome, points, shortfall::text, 0 AS n FROM ledger_transaction
  WHERE member_id = ANY (:who) OR tx_id IN (SELECT tx_id FROM entry WHERE member_id = ANY (:who))
UNION ALL SELECT debit, credit, points, business_date::text, 1 FROM entry
  WHERE member_id = ANY (:who)
UNION ALL SELECT unit, pending::int, remaining, expires_on::text, 2 FROM lot
  WHERE member_id = ANY (:who)
UNION ALL SELECT unit, held::int, posted, (pending, owed, last_active_on)::text, 3 FROM balance
  WHERE member_id = ANY (:who)
UNION ALL SELECT unit, captured::int, points, voided::text, 4 FROM hold WHERE member_id = ANY (:who)
UNION ALL SELECT unit, mode, points, settled::text, 5 FROM shortfall WHERE member_id = ANY (:who)
UNION ALL SELECT unit, 0, sent + received, contributed::text, 6 FROM moved_in_year
  WHERE member_id = ANY (:who)
UNION ALL SELECT 0, 0, 0, to_date::text, 7 FROM lot_extension WHERE member_id = ANY (:who)
ORDER BY 5, 1, 2, 3, 4"""


@dataclass
class Cutter:
    """Ends the connection that an engine works on after so many of its statements."""

    engine: AsyncEngine
    admin: asyncpg.Connection
    after: int | None = None
    seen: int = 0
    cut: bool = False

    def __post_init__(self) -> None:
        event.listen(self.engine.sync_engine, "after_cursor_execute", self._count)

    def arm(self, after: int | None) -> None:
        self.after, self.seen, self.cut = after, 0, False

    def _count(self, connection: Any, *_facts: Any) -> None:
        self.seen += 1
        if self.seen == self.after:
            self.cut = True
            driver = connection.connection.driver_connection
            await_only(end(self.admin, driver.get_server_pid()))


async def end(admin: asyncpg.Connection, pid: int) -> None:
    """End a backend, and come back when it is gone; the server's own wait would look rarely."""
    await admin.execute("SELECT pg_terminate_backend($1)", pid)
    async with asyncio.timeout(10):
        while await admin.fetchval("SELECT true FROM pg_stat_activity WHERE pid = $1", pid):
            await asyncio.sleep(0.002)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """With a pool, as the hub's own: what was cut off in it must not be handed out again."""
    made = make_engine(database_url)
    yield made
    await made.dispose()


@pytest.fixture
async def admin(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def cutter(engine: AsyncEngine, admin: asyncpg.Connection) -> Cutter:
    return Cutter(engine, admin)


def facts(member: int, key: str, business: int = 1) -> dict[str, Any]:
    return {
        "business_id": business, "member_id": member, "idempotency_key": f"{key}-{member}",
        "occurred_at": NOON, "business_date": TODAY, "now": NOON,
    }  # fmt: skip


@dataclass
class Scene:
    """What a member has before a request: something for every verb to refer to."""

    sale: int
    owed_sale: int
    hold: int
    spent: int
    claimed: int
    till: Acting


async def set_scene(db: AsyncConnection, member: int) -> Scene:
    """A sale, one that is owed for, one that ended, one to come; a hold and a redemption."""
    if not await db.scalar(text("SELECT true FROM business")):
        await open_tills(db)
    till = await introduce(db, [member], business_id=1)
    sales = [
        lot(member, 300, key=f"sale-{member}"),
        lot(member, 100, business_id=2, key=f"owed-{member}"),
        lot(member, 50, key=f"ended-{member}", expires_on=TODAY - timedelta(days=1)),
        lot(member, 40, key=f"soon-{member}", activates_at=NOON + timedelta(hours=1)),
    ]
    posted = await post_earns(db, sales, now=NOON)
    sale, owed = posted[1, f"sale-{member}"], posted[2, f"owed-{member}"]
    today: dict[str, Any] = {"today": TODAY}
    spent = await redeem(db, **facts(member, "spent"), **today, points=150)
    held = await hold(db, **facts(member, "held"), **today, points=60, ttl_seconds=3600)
    taken = {"account_id": 1, "earn_tx": owed, "qualifying": 0, "limit": 1000}
    for part, mode in ((90, ShortfallMode.OWED), (10, ShortfallMode.RECEIVABLE)):
        claimed = await post_clawback(
            db, **facts(member, f"claw-{part}", 2), **taken, points=part, mode=mode
        )
    return Scene(sale, owed, held.tx_id, spent.tx_id, claimed.tx_id, till)


Request = Callable[[AsyncConnection, int, Scene], Awaitable[Any]]
REASON = {"reason": "a typhoon"}


def move(kind: Kind) -> Request:
    async def ask(db: AsyncConnection, m: int, s: Scene) -> None:
        asked = {**facts(m, "move"), "from_id": m, "to_id": m + FRIEND, "year": 2026}
        del asked["member_id"]
        ends = {"account_id": None, "to_account_id": None, "points": 20}
        await post_move(db, **asked, **ends, kind=kind, today=TODAY)

    return ask


async def at_till(db: AsyncConnection, m: int, s: Scene) -> None:
    """What is redeemed at once is committed with its statement: only the answer can be lost."""
    asked = {**facts(m, "r"), "points": 20}

    async def fetch(statement: str, values: Sequence[Any]) -> Any:
        async with db.engine.connect() as plain:
            own = await plain.execution_options(isolation_level="AUTOCOMMIT")
            row = (await own.exec_driver_sql(statement, tuple(values))).first()
            await own.invalidate()  # it may be cut off by now: nobody else is to have it
            return row

    if await at_once(fetch, s.till, **asked) is None:
        await redeem(db, **asked, today=TODAY)


REQUESTS: dict[str, Request] = {
    "earn": lambda db, m, s: post_earns(db, [lot(m, 10, qualifying=3, key=f"new-{m}")]),
    "earn of who owes": lambda db, m, s: post_earns(
        db, [lot(m, 30, business_id=2, key=f"new-{m}")]
    ),
    "redeem": lambda db, m, s: redeem(db, **facts(m, "r"), today=TODAY, points=20),
    "redeem at a till": at_till,
    "decline": lambda db, m, s: redeem(db, **facts(m, "r"), today=TODAY, points=2000),
    "hold": lambda db, m, s: hold(
        db, **facts(m, "h"), today=TODAY, points=20, ttl_seconds=600
    ),
    "capture": lambda db, m, s: capture(db, **facts(m, "x"), hold_id=s.hold, points=25),
    "void": lambda db, m, s: void(db, **facts(m, "x"), hold_id=s.hold),
    "lapse": lambda db, m, s: lapse(db, now=LATER, business_date=LATER.date()),
    "expire": lambda db, m, s: expire(db, now=NOON, today=TODAY, after_member_id=m - 1, members=1),
    "activate": lambda db, m, s: post_activation(db, member_ids=[m], now=LATER),
    "restore": lambda db, m, s: restore(
        db, **facts(m, "b"), redemption_tx=s.spent, points=70, today=TODAY
    ),
    "clawback": lambda db, m, s: post_clawback(
        db, **facts(m, "c"), account_id=1, earn_tx=s.sale, points=300, qualifying=0,
        mode=ShortfallMode.RECEIVABLE,
    ),
    "recover": lambda db, m, s: post_recovery(
        db, **facts(m, "p", 2), **REASON, clawback_tx=s.claimed, points=None
    ),
    "transfer": move(Kind.TRANSFER),
    "contribute": move(Kind.CONTRIBUTE),
    "adjust": lambda db, m, s: post_adjustment(
        db, **facts(m, "a"), **REASON, account_id=1, points=-20, cost_rate=COST, expires_on=None,
        today=TODAY,
    ),
}  # fmt: skip


async def effect(engine: AsyncEngine, member: int) -> list[tuple[Any, ...]]:
    async with engine.connect() as db:
        rows = await db.execute(text(EFFECT), {"who": [member, member + FRIEND]})
        return [tuple(row) for row in rows]


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_cut_off_after_any_statement_has_one_effect_when_repeated(
    engine: AsyncEngine, cutter: Cutter, name: str
) -> None:
    request = REQUESTS[name]
    undisturbed: list[tuple[Any, ...]] = []
    member = 0
    while True:
        member += 1
        async with engine.begin() as db:
            scene = await set_scene(db, member)
        before = await effect(engine, member)
        cutter.arm(member - 1 or None)  # the first one is left alone
        try:
            async with engine.begin() as db:
                await request(db, member, scene)
        except DBAPIError:
            assert cutter.cut
            assert await effect(engine, member) == before
        was_cut = cutter.cut
        cutter.arm(None)
        async with engine.begin() as db:
            await request(db, member, scene)
        after = await effect(engine, member)
        undisturbed = undisturbed or after
        assert after == undisturbed
        assert after != before
        if member > 1 and not was_cut:
            break
    assert member > 2
    async with engine.connect() as db:
        assert await verify(db) == []


async def test_a_delivery_cut_off_after_any_statement_has_one_effect(
    engine: AsyncEngine, cutter: Cutter, database_url: str
) -> None:
    """A sale and a refund of another one, in one batch: all that the intake does to points."""
    hub = Hub(engine, database_url)
    await hub.configure(NOWHERE)
    step = 0
    while True:
        step += 1
        first, second = (bought_by(1, number=700_000 + 2 * step + n) for n in (0, 1))
        await hub.accept(sent(first.document(NOON)))
        await hub.work()
        async with engine.begin() as db:
            await hub.store(db, sent(first.refund(NOON, {0: 1}), "refunds/create"))
            await hub.store(db, sent(second.document(NOON)))
        cutter.arm(step)
        try:
            await hub.work()
        except DBAPIError:
            assert cutter.cut
        was_cut = cutter.cut
        cutter.arm(None)
        async with engine.begin() as db:
            await db.execute(text("UPDATE outbox_message SET available_at = now()"))
        await hub.work()
        effects = await hub.rows(
            "SELECT kind, count(*) FROM ledger_transaction GROUP BY 1 ORDER BY 1"
        )
        assert effects == [(Kind.EARN, 2 * step), (Kind.CLAWBACK, step)]
        assert await hub.rows("SELECT reason_code FROM delivery WHERE state <> 'done'") == []
        if not was_cut:
            break
    assert step > 10
    async with engine.connect() as db:
        assert await verify(db) == []


@pytest.mark.parametrize(
    "name", ["earn", "redeem", "redeem at a till", "capture", "clawback", "transfer", "expire"]
)
async def test_a_backend_ended_while_it_waits_for_a_balance_leaves_nothing(
    engine: AsyncEngine, admin: asyncpg.Connection, name: str
) -> None:
    member = 7
    async with engine.begin() as db:
        scene = await set_scene(db, member)
    before = await effect(engine, member)

    async def ask() -> None:
        async with engine.begin() as db:
            await REQUESTS[name](db, member, scene)

    async with engine.begin() as holder:
        await holder.execute(
            text("SELECT 1 FROM balance WHERE member_id = :m FOR UPDATE"), {"m": member}
        )
        asking = asyncio.create_task(ask())
        waiting = None
        while waiting is None:
            await asyncio.sleep(0.01)
            waiting = await admin.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
        await end(admin, waiting)
        with pytest.raises(DBAPIError):
            await asking
    assert await effect(engine, member) == before
    await ask()
    after = await effect(engine, member)
    assert after != before
    await ask()
    assert await effect(engine, member) == after
    async with engine.connect() as db:
        assert await verify(db) == []
