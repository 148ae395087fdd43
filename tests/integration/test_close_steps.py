"""A close in steps: it goes on wherever it stopped, and says the same however often it did."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.closing.actors import check_and_close
from hub.closing.ask_close import CLOSE, ask_close
from hub.closing.ask_due import ask_due
from hub.closing.check_period import check_period
from hub.crypto.keyring import Keyring
from hub.db.engine import make_engine
from hub.errors import Conflict, Rejected
from hub.jobs.runtime import Runtime
from hub.outbox.messages import last_error
from hub.settlement import steps as planning
from hub.settlement.begin_close import begin_close
from hub.settlement.calendars import CalendarConfig, keep_calendar
from hub.settlement.close_period import close
from hub.settlement.go_on_closing import go_on_closing
from hub.settlement.open_period import open_period
from hub.settlement.propose_correction import propose_correction
from hub.settlement.queries import period_by_code, period_by_id
from hub.settlement.steps import steps
from tests.support import stack
from tests.support.settlement import KINDS, Tills, agreement, make_group, noon

NOW = noon(date(2026, 12, 2))
DAYS = [date(2026, 11, day) for day in (3, 4, 10, 25)]
HASHES = "SELECT business_id, sha256, body FROM statement ORDER BY business_id"


async def group_with_lines(db: AsyncConnection) -> Tills:
    pairs = [(i, a) for i in KINDS for a in KINDS if i != a]
    ids = await make_group(db, [agreement(i, a, "0.008") for i, a in pairs])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 10_000, DAYS[0])
    for day in DAYS:
        await tills.redeem("hotel", 1, 130, day)
        await tills.redeem("dining", 1, 77, day)
    return tills


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each day with lines is a step of its own."""
    monkeypatch.setattr(planning, "SLICE_LINES", 1)


async def period_id_of(db: AsyncConnection, code: str = "2026-11") -> int:
    return (await open_period(db, code=code, now=NOW)).period_id


async def go_on(engine: AsyncEngine, period_id: int) -> list[str]:
    """Do all steps that are left, each with its commit; returns their kinds."""
    done = []
    while True:
        async with engine.begin() as db:
            step = await go_on_closing(db, period_id=period_id, now=NOW)
        if step is None:
            return done
        done.append(step.kind)


DIES = """
import asyncio, os, signal, sys
from datetime import datetime
from hub.db.engine import make_engine
from hub.settlement import steps
from hub.settlement.begin_close import begin_close
from hub.settlement.go_on_closing import go_on_closing

url, period_id, now, more, committed = sys.argv[1:]
steps.SLICE_LINES = 1

async def main():
    facts = {"period_id": int(period_id), "now": datetime.fromisoformat(now)}
    engine = make_engine(url, pool_size=1)
    if int(more) >= 0:
        async with engine.begin() as db:
            await begin_close(db, **facts)
    for _ in range(int(more)):
        async with engine.begin() as db:
            await go_on_closing(db, **facts)
    db = await engine.connect()
    await (begin_close(db, **facts) if int(more) < 0 else go_on_closing(db, **facts))
    if committed == "yes":
        await db.commit()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def dies(url: str, period_id: int, *, after: int, committed: bool) -> None:
    """Have a process do `after` steps, and die in the next one or right behind its commit."""
    said = [url, str(period_id), NOW.isoformat(), str(after), "yes" if committed else "no"]
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", DIES, *said)
    assert await child.wait() == -signal.SIGKILL


@asynccontextmanager
async def copy_of(database_url: str, postgres_url: str) -> AsyncIterator[str]:
    """Another database that holds the same, while nobody is connected to the first."""
    copy = stack.lasting_database(postgres_url, stack.name_of(database_url))
    url = await asyncio.to_thread(copy.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(copy.__exit__, None, None, None)


async def test_whoever_dies_in_a_close_changes_nothing_of_it(
    database_url: str, postgres_url: str, small_slices: None
) -> None:
    engine = make_engine(database_url, pool_size=2)
    async with engine.begin() as db:
        await group_with_lines(db)
        period_id = await period_id_of(db)
    await engine.dispose()
    async with copy_of(database_url, postgres_url) as straight:
        other = make_engine(straight, pool_size=1)
        async with other.begin() as db:
            await begin_close(db, period_id=period_id, now=NOW)
        kinds = await go_on(other, period_id)
        async with other.connect() as db:
            expected = (await db.execute(text(HASHES))).all()
        await other.dispose()
    assert len(expected) == 3
    await dies(database_url, period_id, after=-1, committed=False)  # before it has begun
    await dies(database_url, period_id, after=0, committed=False)  # in the first lines
    await dies(database_url, period_id, after=1, committed=True)
    await dies(database_url, period_id, after=kinds.index("totals") - 2, committed=False)
    await dies(database_url, period_id, after=1, committed=False)  # in a statement
    engine = make_engine(database_url, pool_size=2)
    async with engine.connect() as db:
        assert (await period_by_id(db, period_id)).state == "closing"
    assert await go_on(engine, period_id)
    async with engine.connect() as db:
        assert (await db.execute(text(HASHES))).all() == expected
        assert (await period_by_id(db, period_id)).state == "draft"
    await engine.dispose()


async def test_steps_are_planned_by_size_and_seen(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await group_with_lines(db)
        period_id = await period_id_of(db)
    async with engine.begin() as db:
        await db.execute(text("SELECT ledger_roll_up()"))
    async with engine.begin() as db:
        await begin_close(db, period_id=period_id, now=NOW)
        planned = (await steps(db, period_ids=[period_id]))[period_id]
    kinds = ["lines", "lines", "terms", "totals", *["statement"] * 3, "draft"]
    assert [one.kind for one in planned] == kinds
    assert [(one.from_date, one.to_date, one.expected) for one in planned[:2]] == [
        (None, date(2026, 10, 31), 0),
        (date(2026, 11, 1), date(2026, 11, 30), 2 * len(DAYS)),
    ]
    await go_on(engine, period_id)
    async with engine.connect() as db:
        done = (await steps(db, period_ids=[period_id]))[period_id]
        assert [one.lines for one in done] == [0, 2 * len(DAYS), 0, 0, 0, 0, 0, 0]
        assert all(one.done_at == NOW for one in done)
        for wrong in ("lines = 7", "done_at = NULL, lines = NULL"):
            with pytest.raises(DBAPIError, match="done once"):
                async with db.begin_nested():
                    await db.execute(text(f"UPDATE settlement_step SET {wrong}"))


async def test_what_is_posted_during_a_close_is_late(
    engine: AsyncEngine, small_slices: None
) -> None:
    async with engine.begin() as db:
        tills = await group_with_lines(db)
        period_id = await period_id_of(db)
    async with engine.begin() as db:
        await begin_close(db, period_id=period_id, now=NOW)
    async with engine.begin() as db:
        tills.db = db
        await tills.redeem("hotel", 1, 500, DAYS[-1])
    await go_on(engine, period_id)
    async with engine.begin() as db:
        assert await db.scalar(text("SELECT sum(points) FROM obligation")) == 4 * (130 + 77)
        december = await period_id_of(db, "2026-12")
        closed = await close(db, period_id=december, now=NOW + timedelta(days=31))
    assert (closed.lines, closed.late) == (1, 1)


async def test_a_close_without_a_price_goes_on_once_there_is_one(engine: AsyncEngine) -> None:
    worker = Runtime(engine=engine, keyring=Keyring.generate())
    async with engine.begin() as db:
        ids = await make_group(db, [agreement("retail", "dining", "0.008")])
        tills = Tills(db, ids)
        await tills.issue("retail", 1, 10_000, DAYS[0])
        await tills.redeem("hotel", 1, 130, DAYS[0])

    async def ask(actor: str) -> str:
        async with engine.begin() as db:
            period = await ask_close(db, code="2026-11", actor=actor, now=NOW)
            ids = list(await db.scalars(text("SELECT message_id FROM outbox_message")))
        await check_and_close(worker, ids)
        async with engine.connect() as db:
            return (await period_by_id(db, period.period_id)).state

    assert await ask("chen") == "closing"
    async with engine.begin() as db:
        period = await period_by_code(db, "2026-11")
        why = await last_error(db, actor=CLOSE, reference=period.period_id)
        assert why is not None
        assert "retail>hotel" in why
        later = await open_period(db, code="2026-12", now=NOW)
        with pytest.raises(Rejected, match="2026-11 is still closing"):
            await begin_close(db, period_id=later.period_id, now=NOW + timedelta(days=31))
        await make_group(db, [agreement("retail", to, "0.008") for to in ("dining", "hotel")])
    assert await ask("chen") == "draft"
    async with engine.connect() as db:
        assert await db.scalar(text("SELECT count(*) FROM statement_signature")) == 3
        assert await db.scalar(text("SELECT count(*) FROM outbox_message")) == 0


async def test_a_cap_that_is_agreed_during_a_close_holds(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        ids = await make_group(db, [agreement("retail", "dining", "0.008")])
        tills = Tills(db, ids)
        await tills.issue("retail", 1, 10_000, DAYS[0])
        await tills.redeem("hotel", 1, 1000, DAYS[0])
        period_id = await period_id_of(db)
    async with engine.begin() as db:
        await begin_close(db, period_id=period_id, now=NOW)
    with pytest.raises(Rejected, match="retail>hotel"):
        await go_on(engine, period_id)
    capped = agreement("retail", "hotel", "0.008").model_copy(update={"cap_amount": Decimal(5)})
    async with engine.begin() as db:
        await make_group(db, [agreement("retail", "dining", "0.008"), capped])
    await go_on(engine, period_id)
    async with engine.connect() as db:
        owed = await db.scalar(text("SELECT sum(gross_minor) FROM settlement_gross"))
        assert owed == 500


async def test_of_two_workers_one_closes(engine: AsyncEngine, small_slices: None) -> None:
    worker = Runtime(engine=engine, keyring=Keyring.generate())
    async with engine.begin() as db:
        await group_with_lines(db)
        period = await ask_close(db, code="2026-11", actor="chen", now=NOW)
        ids = list(await db.scalars(text("SELECT message_id FROM outbox_message")))
    await asyncio.gather(*(check_and_close(worker, ids) for _ in range(4)))
    async with engine.connect() as db:
        done = (await steps(db, period_ids=[period.period_id]))[period.period_id]
        assert (await period_by_id(db, period.period_id)).state == "draft"
        assert sum(one.lines or 0 for one in done) == 2 * len(DAYS)
        assert await db.scalar(text("SELECT count(*) FROM obligation")) == 2 * len(DAYS)


async def test_a_calendar_says_what_periods_there_are_and_when_they_close(
    db: AsyncConnection,
) -> None:
    ids = await make_group(db, [])
    assert ids
    config = CalendarConfig(
        effective_from=date(2026, 11, 1), period="month", cut_off_hours=48, close_by_itself=True
    )
    for _ in range(2):
        await keep_calendar(db, config=config)
    with pytest.raises(Conflict):
        await keep_calendar(db, config=config.model_copy(update={"cut_off_hours": 1}))
    with pytest.raises(Rejected, match="periods of a month"):
        await open_period(db, code="2026-11-03", now=NOW)
    await open_period(db, code="2026-10-31", now=NOW)  # from before the calendar
    await period_id_of(db)
    cut_off = noon(date(2026, 12, 2)) + timedelta(hours=4)  # 48 h after midnight in Shanghai
    with pytest.raises(Rejected, match="2026-12-02 16:00 UTC"):
        await ask_close(db, code="2026-11", actor="chen", now=cut_off - timedelta(seconds=1))
    assert await ask_due(db, now=cut_off - timedelta(seconds=1)) == []
    assert await ask_due(db, now=cut_off) == ["2026-11"]
    assert await db.scalar(text("SELECT actor FROM settlement_close_request")) == "hub"


async def test_open_breaks_and_undecided_corrections_stop_a_close(db: AsyncConnection) -> None:
    ids = (await group_with_lines(db)).ids
    period_id = await period_id_of(db)
    await propose_correction(
        db, debtor_id=ids["retail"], creditor_id=ids["hotel"], currency="CNY",
        amount=Decimal("1.00"), reason="a line too few", actor="chen", idempotency_key="c-1",
        now=NOW,
    )  # fmt: skip
    await db.execute(
        text("""
          INSERT INTO reconciliation_book (business_id, role) VALUES (:hotel, 'creditor')"""),
        {"hotel": ids["hotel"]},
    )
    for day, anchor in ((date(2026, 11, 30), 1), (date(2026, 12, 1), 2)):
        await db.execute(
            text("""
              INSERT INTO reconciliation_break (anchor_row_id, opened_at, day, book_id, leg, kind)
              SELECT :anchor, :now, :day, book_id, 1, 'amount' FROM reconciliation_book"""),
            {"anchor": anchor, "now": NOW, "day": day},
        )
    found = {one.code: one for one in await check_period(db, period_id=period_id, now=NOW)}
    assert found["breaks"].stops
    assert found["breaks"].facts == {"amount": 1}
    assert found["corrections"].stops
    assert "1 corrections" in found["corrections"].says
