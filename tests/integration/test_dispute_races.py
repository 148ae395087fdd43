"""Disputes by several at once, and on the command line."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.errors import Rejected
from hub.settlement.approve_period import approve_period
from hub.settlement.close_period import close
from hub.settlement.disputes import Dispute, dispute, disputes
from hub.settlement.dues import dues
from hub.settlement.open_dispute import open_dispute
from hub.settlement.open_period import open_period
from hub.settlement.queries import obligations
from hub.settlement.resolve_dispute import resolve_dispute
from tests.support.command import hub
from tests.support.settlement import KINDS, Tills, agreement, make_group, noon
from tests.support.waiting import until

DAY, NOW = date(2026, 10, 10), noon(date(2026, 11, 2))


@pytest.fixture
async def october(engine: AsyncEngine) -> tuple[int, int, list[int]]:
    """A closed month: the period, who owes, and the lines to the hotel."""
    async with engine.begin() as db:
        ids = await make_group(
            db, [agreement(i, a, "0.008") for i in KINDS for a in KINDS if i != a]
        )
        tills = Tills(db, ids)
        await tills.issue("retail", 1, 10_000, DAY)
        for points in (1_000, 2_000):
            await tills.redeem("hotel", 1, points, DAY)
        period = await open_period(db, code="2026-10", now=NOW)
        await close(db, period_id=period.period_id, now=NOW)
        lines = await obligations(db, period_id=period.period_id, first=10)
        return period.period_id, ids["retail"], [line.line_id for line in lines]


async def _open(db: AsyncConnection, october: tuple[int, int, list[int]], key: str) -> Dispute:
    period_id, business_id, lines = october
    return await open_dispute(
        db,
        period_id=period_id,
        line_ids=lines[:1],
        business_id=business_id,
        reason="doubtful",
        actor="opener",
        idempotency_key=key,
        now=NOW,
    )


async def test_a_dispute_is_before_an_approval_or_after_it(
    engine: AsyncEngine, october: tuple[int, int, list[int]]
) -> None:
    """Whoever comes second waits for the first, and knows what it did."""
    async with engine.connect() as first, engine.connect() as second:
        await first.begin()
        made = await _open(first, october, "k")
        await second.begin()
        approving = asyncio.create_task(
            approve_period(second, period_id=october[0], actor="ann", now=NOW)
        )
        await until(engine, waiting=1)
        assert not approving.done()
        await first.commit()
        await approving
        await second.commit()
    async with engine.connect() as db:
        [due] = (await dues(db, period_ids=[october[0]]))[october[0]]
        assert (due.disputed_minor, due.due_minor) == (800, 1600)
        assert (await dispute(db, made.dispute_id)).held_minor == 800


async def test_a_line_that_many_dispute_is_disputed_once(
    engine: AsyncEngine, october: tuple[int, int, list[int]]
) -> None:
    async def opened(key: str) -> bool:
        try:
            async with engine.begin() as db:
                await _open(db, october, key)
        except Rejected:
            return False
        return True

    assert sum(await asyncio.gather(*(opened(f"k{n}") for n in range(8)))) == 1
    assert sum(await asyncio.gather(*(opened("same") for _ in range(4)))) == 0
    async with engine.connect() as db:
        assert len(await disputes(db, first=10)) == 1


async def test_of_two_that_decide_one_does(
    engine: AsyncEngine, october: tuple[int, int, list[int]]
) -> None:
    async with engine.begin() as db:
        number = (await _open(db, october, "k")).dispute_id

    async def decided(n: int) -> str:
        try:
            async with engine.begin() as db:
                await resolve_dispute(
                    db, dispute_id=number, upheld=bool(n % 2), reason="seen", actor=f"{n}", now=NOW
                )
        except Rejected:
            return "rejected"
        return "decided"

    answers = await asyncio.gather(*(decided(n) for n in range(8)))
    assert answers.count("decided") == 4  # the same decision again is no other one
    async with engine.connect() as db:
        stands = await db.scalar(text("SELECT bool_and(stands) FROM dispute_line"))
        assert stands == ((await dispute(db, number)).state == "upheld")


async def test_finance_disputes_decides_and_corrects_on_the_command_line(
    engine: AsyncEngine, database_url: str, october: tuple[int, int, list[int]]
) -> None:
    async def run(*words: str) -> str:
        said = await hub(*words, HUB_DATABASE_URL=database_url, COLUMNS=200)
        assert said.returncode == 0, said.stderr
        return said.stdout

    async def refused(*words: str) -> str:
        said = await hub(*words, HUB_DATABASE_URL=database_url)
        assert said.returncode != 0
        return said.stderr

    lines = [str(line) for line in october[2]]
    asked = ("dispute", "open", "2026-10", *lines, "--business", "hotel", "--as", "mei")
    for _ in range(2):
        told = await run(*asked, "--reason", "too few", "--key", "k")
        assert told == "dispute 1 of 2026-10 is open\n"
    await run("dispute", "say", "1", "see room 7", "--as", "wei")
    listed = await run("dispute", "list")
    assert "retail > hotel" in listed
    assert "see room 7" in listed
    ruling = ("dispute", "resolve", "1", "--reject", "--reason", "seen", "--as")
    assert "somebody else" in await refused(*ruling, "mei")
    assert "is rejected" in await run(*ruling, "wei")
    assert "hotel" not in await run("dispute", "list")
    assert "hotel" in await run("dispute", "list", "--all")
    again = ("dispute", "open", "2026-10", lines[0], "--business", "hotel", "--as", "mei")
    await run(*again, "--reason", "still")
    ending = ("dispute", "withdraw", "2", "--business", "hotel", "--reason", "well")
    assert "withdrawn" in await run(*ending, "--as", "mei")

    owed = ("correction", "propose", "retail", "hotel")
    why = ("--currency", "CNY", "--reason", "counted twice", "--as", "mei")
    assert "a number" in await refused(*owed, "dear", *why)
    assert "proposed" in await run(*owed, "12.34", "--less", *why)
    assert "-12.34" in await run("correction", "list")
    assert "somebody else" in await refused("correction", "approve", "1", "--as", "mei")
    assert "approved" in await run("correction", "approve", "1", "--as", "wei")
    await run(*owed, "1", *why)
    assert "rejected" in await run("correction", "reject", "2", "--reason", "no", "--as", "wei")
    async with engine.connect() as db:
        amounts = await db.scalars(text("SELECT amount FROM correction WHERE state = 'approved'"))
        assert [f"{amount:.2f}" for amount in amounts] == ["-12.34"]
