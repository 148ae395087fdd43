"""Files and runs twice, late, in parts, in another order, or at once: the same is found."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.crypto.keyring import Keyring
from hub.jobs.runtime import Runtime
from hub.reconciliation.actors import reconcile_each, take_steps
from hub.reconciliation.advance import STEPS, advance
from hub.reconciliation.ask_run import ask_run
from hub.reconciliation.breaks import Break, breaks
from hub.reconciliation.codes import Leg, Role
from hub.reconciliation.investigate_break import investigate_break
from hub.reconciliation.rows import PartnerRow
from hub.reconciliation.save_mapping import SavedMapping
from tests.support.reconciling import (
    FIRST,
    LAST,
    NOW,
    Line,
    book_row,
    breaks_found,
    closed_month,
    consumed_twice,
    make_mapping,
    matches_found,
    run_over,
    state_of,
    take,
)
from tests.support.settlement import agreement, make_group

PAIRS = [agreement(issuer, "dining", "0.008") for issuer in ("retail", "hotel")]
HOW = {"amount_minor": 1, "days": 3}
LATER = NOW + timedelta(days=4)


def _book(lines: list[Line]) -> list[PartnerRow]:
    """A book of which every tenth row is wrong in its own way, and every seventh has no name."""
    rows = []
    for line in lines:
        row = book_row(line, named=line.n % 7 != 0)
        match line.n % 60:
            case 10:
                continue
            case 20:
                row = replace(row, amount_minor=line.amount_minor + 11)
            case 30:
                rows.append(replace(row, reference=f"Z{line.n}"))
            case 40:
                row = replace(row, day=row.day + timedelta(days=2))
            case 50:
                half = row.points // 2
                amount = line.amount_minor // 2
                rows.append(replace(row, reference=f"A{line.n}", points=half, amount_minor=amount))
                row = replace(
                    row, points=row.points - half, amount_minor=line.amount_minor - amount
                )
        rows.append(row)
    return rows


Matches = list[tuple[int, list[str]]]
Breaks = dict[str, list[list[str]]]


async def _month(db: AsyncConnection, lines: int = 600) -> tuple[list[PartnerRow], SavedMapping]:
    ids = await make_group(db, PAIRS)
    # Some lines have twins, within their day and beyond it.
    month = await closed_month(db, ids, lines=lines, points="125 * (1 + n % 97)")
    return _book(month), await make_mapping(db, tolerance=HOW)


async def _found(db: AsyncConnection) -> tuple[Matches, Breaks]:
    told = {kind: sorted(map(sorted, names)) for kind, names in (await breaks_found(db)).items()}
    return await matches_found(db), told


@pytest.mark.parametrize("seed", range(4))
async def test_random_orders_and_parts_come_to_the_same(db: AsyncConnection, seed: int) -> None:
    rows, mapping = await _month(db)
    chance = random.Random(seed)
    first = None
    for parts in (1, 1, 2, 3):
        chance.shuffle(rows)
        async with db.begin_nested() as trial:
            for part in range(parts):
                await take(db, mapping, [row for n, row in enumerate(rows) if n % parts == part])
            await run_over(db, mapping)
            assert await consumed_twice(db) == 0
            found = await _found(db)
            assert first is None or found == first
            first = found
            await trial.rollback()
    assert first is not None
    assert {"amount", "missing_at_partner", "duplicate"} <= first[1].keys()


@pytest.mark.parametrize("seed", range(4))
async def test_runs_in_between_consume_nothing_twice_and_leave_nothing_out(
    db: AsyncConnection, seed: int
) -> None:
    """Whoever runs over half a book joins what looks alike in that half; a person can undo it."""
    rows, mapping = await _month(db)
    random.Random(seed).shuffle(rows)
    for part in range(3):
        await take(db, mapping, rows[part::3])
        await run_over(db, mapping)
        assert await consumed_twice(db) == 0
        told = {
            name for names in (await breaks_found(db)).values() for one in names for name in one
        }
        told |= {name for _, names in await matches_found(db) for name in names}
        assert {row.reference for n, row in enumerate(rows) if n % 3 <= part} <= told
        assert len([name for name in told if name.startswith("till-")]) == 600


async def test_two_halves_are_the_whole(db: AsyncConnection) -> None:
    rows, mapping = await _month(db)
    async with db.begin_nested() as trial:
        await take(db, mapping, rows)
        await run_over(db, mapping)
        whole = await _found(db)
        await trial.rollback()
    await take(db, mapping, rows[: len(rows) // 2])
    await take(db, mapping, rows[len(rows) // 2 :])
    await run_over(db, mapping)
    assert await _found(db) == whole
    before = await state_of(db)
    random.Random(7).shuffle(rows)
    again = await take(db, mapping, rows)
    assert (again.added, again.unchanged) == (0, len(rows))
    await run_over(db, mapping)
    assert await state_of(db) == before


async def _open(db: AsyncConnection, mapping: SavedMapping, kind: str) -> list[Break]:
    return await breaks(db, business_ids=[mapping.business_id], kinds=[kind], first=100)


async def test_a_correction_ends_the_break_and_undoes_what_was_matched(
    db: AsyncConnection,
) -> None:
    rows, mapping = await _month(db, 60)
    by_name = {row.reference: row for row in rows}
    await take(db, mapping, rows)
    await run_over(db, mapping)
    (wrong,) = await _open(db, mapping, "amount")
    kept = {"owner": "bo", "note": None, "actor": "ann", "now": LATER}
    await investigate_break(db, break_id=wrong.break_id, **kept)

    # Still wrong, otherwise: who had it keeps it, and its age.
    worse = replace(by_name["R20"], amount_minor=by_name["R20"].amount_minor + 1)
    taken = await take(db, mapping, [worse])
    assert (taken.added, taken.superseded) == (1, 1)
    await run_over(db, mapping, now=LATER)
    (still,) = await _open(db, mapping, "amount")
    assert still.break_id != wrong.break_id
    assert (still.owner, still.opened_at, still.amount_minor) == ("bo", wrong.opened_at, 12)

    # The file that was corrected comes again, in another order: it is out of date.
    before = await state_of(db)
    stale = await take(db, mapping, list(reversed(rows)))
    assert (stale.added, stale.stale, stale.superseded) == (0, 1, 0)
    await run_over(db, mapping, now=LATER)
    assert await state_of(db) == before

    # Right at last; and a row that was right is taken back.
    right = replace(worse, amount_minor=worse.amount_minor - 12)
    gone = replace(by_name["R1"], points=0, amount_minor=0)
    taken = await take(db, mapping, [right, gone])
    assert (taken.added, taken.superseded) == (1, 2)
    await run_over(db, mapping, now=LATER)
    assert await _open(db, mapping, "amount") == []
    assert {"till-1"} in (await breaks_found(db))["missing_at_partner"]
    assert await consumed_twice(db) == 0


async def _asked(engine: AsyncEngine, mapping: SavedMapping) -> int:
    async with engine.begin() as db:
        run = await ask_run(
            db, mapping=mapping, from_date=FIRST, to_date=LAST, actor="ann", now=NOW
        )
        return run.run_id


async def test_runs_at_once_over_one_book_and_over_both_books(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        rows, mapping = await _month(db)
        await take(db, mapping, rows)
        owes = await make_mapping(
            db, business="retail", role=Role.DEBTOR, code="owed", tolerance=HOW
        )
        theirs = [
            replace(row, leg=Leg.DEBTOR, counterparty_id=mapping.business_id)
            for row in rows
            if row.counterparty_id == owes.business_id
        ]
        await take(db, owes, theirs)
    async with engine.connect() as db, db.begin() as trial:
        for one in (mapping, owes):
            await run_over(db, one)
        alone = await _found(db)
        await trial.rollback()
    run_ids = [await _asked(engine, one) for one in (mapping, mapping, owes, mapping, owes)]
    await asyncio.gather(*(take_steps(engine, run_id) for run_id in run_ids))
    async with engine.connect() as db:
        assert await consumed_twice(db) == 0
        assert await _found(db) == alone


async def test_workers_take_the_runs_that_were_asked_for(engine: AsyncEngine) -> None:
    worker = Runtime(engine=engine, keyring=Keyring.generate())
    async with engine.begin() as db:
        rows, mapping = await _month(db, 120)
        await take(db, mapping, rows)
    for _ in range(2):
        await _asked(engine, mapping)
    async with engine.connect() as db:
        ids = list(await db.scalars(text("SELECT message_id FROM outbox_message")))
    await asyncio.gather(*(reconcile_each(worker, ids) for _ in range(3)))
    async with engine.connect() as db:
        assert await db.scalar(text("SELECT count(*) FROM outbox_message")) == 0
        assert await db.scalar(text("SELECT count(finished_at) FROM reconciliation_run")) == 2
        assert await consumed_twice(db) == 0
        assert len(await matches_found(db)) > 90


async def test_a_run_that_dies_is_gone_on_with(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        rows, mapping = await _month(db, 120)
        await take(db, mapping, rows)
    async with engine.connect() as db, db.begin() as trial:
        await run_over(db, mapping)
        whole = await _found(db)
        await trial.rollback()
    run_id = await _asked(engine, mapping)
    for _ in STEPS:
        # Each step is taken, and lost before it was committed; then it is taken again.
        async with engine.connect() as db, db.begin() as trial:
            await advance(db, run_id=run_id, now=NOW)
            await trial.rollback()
        async with engine.begin() as db:
            await advance(db, run_id=run_id, now=NOW)
    async with engine.connect() as db:
        assert await _found(db) == whole
        finished = await db.scalar(text("SELECT count(finished_at) FROM reconciliation_run"))
        assert finished == 1


async def test_nothing_that_is_suggested_confirms_itself(db: AsyncConnection) -> None:
    rows, mapping = await _month(db)
    await take(db, mapping, rows)
    for _ in range(3):
        await run_over(db, mapping)
    live = await db.scalar(
        text("""
          SELECT count(*) FROM reconciliation_match_row JOIN reconciliation_match m USING (match_id)
          WHERE live <> (m.state = 'confirmed') OR m.state = 'confirmed' AND m.rule IN (7, 8, 9, 11)
        """)
    )
    assert live == 0
    assert await db.scalar(text("SELECT count(*) FROM reconciliation_match WHERE rule = 7")) > 0
