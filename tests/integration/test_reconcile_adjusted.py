"""What a book says rightly is settled by a correction, and who of three is wrong is said."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.reconciliation.adjust_break import adjust_break
from hub.reconciliation.breaks import Break, breaks
from hub.reconciliation.codes import Leg, Role
from hub.reconciliation.resolve_break import resolve_break
from hub.reconciliation.rows import PartnerRow
from hub.reconciliation.save_mapping import SavedMapping
from hub.reconciliation.verdicts import verdicts
from hub.settlement.approve_correction import approve_correction
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.support.reconciling import (
    FIRST,
    NOW,
    Line,
    book_row,
    closed_month,
    make_mapping,
    run_over,
    take,
)
from tests.support.settlement import agreement, make_group, noon

PAIRS = [agreement(issuer, "dining", "0.008") for issuer in ("retail", "hotel")]
JANUARY = noon(date(2027, 1, 2))


async def _month(db: AsyncConnection) -> tuple[list[Line], SavedMapping, SavedMapping]:
    """A month of twenty lines, the restaurant's book of them and the shop's."""
    ids = await make_group(db, PAIRS)
    lines = await closed_month(db, ids, lines=20)
    owed = await make_mapping(db)
    owes = await make_mapping(db, business="retail", role=Role.DEBTOR, code="owes")
    return lines, owed, owes


def _owing(row: PartnerRow, creditor_id: int, **changes: int) -> PartnerRow:
    return replace(row, leg=Leg.DEBTOR, counterparty_id=creditor_id, **changes)  # type: ignore[arg-type]


async def _open(db: AsyncConnection, mapping: SavedMapping) -> list[Break]:
    return await breaks(db, business_ids=[mapping.business_id], first=100)


async def test_an_approved_correction_accounts_for_a_break_and_makes_no_other(
    db: AsyncConnection,
) -> None:
    lines, owed, _ = await _month(db)
    rows = [book_row(line) for line in lines]
    rows[4] = replace(rows[4], amount_minor=(rows[4].amount_minor or 0) + 350)
    await take(db, owed, rows)
    await run_over(db, owed)
    (short,) = await _open(db, owed)
    assert (short.kind, short.amount_minor) == ("amount", 350)
    made = await adjust_break(
        db, break_id=short.break_id, reason="the till was right", actor="ann", now=NOW
    )
    await approve_correction(db, correction_id=made.correction_id, actor="bo", now=NOW)
    await resolve_break(
        db, break_id=short.break_id, resolution="adjusted", reason="done", actor="bo", now=NOW
    )
    december = await open_period(db, code="2026-12", now=NOW)
    await close(db, period_id=december.period_id, now=JANUARY)
    for last in (date(2026, 11, 30), date(2026, 12, 31)):
        run = await run_over(db, owed, first=FIRST, last=last, now=JANUARY)
        assert await _open(db, owed) == []
    assert run.found["breaks"] == 0


@pytest.mark.parametrize(
    ("other", "verdict"), [(0, "book"), (350, "hub"), (349, "none"), (None, "untold")]
)
async def test_who_of_three_stands_alone(
    db: AsyncConnection, other: int | None, verdict: str
) -> None:
    lines, owed, owes = await _month(db)
    of_shop = [line for line in lines if line.issuer_id == owes.business_id]
    rows = [book_row(line) for line in lines]
    wrong = next(n for n, row in enumerate(rows) if row.reference == f"R{of_shop[0].n}")
    right = rows[wrong].amount_minor or 0
    rows[wrong] = replace(rows[wrong], amount_minor=right + 350)
    await take(db, owed, rows)
    await run_over(db, owed)
    if other is not None:
        theirs = [_owing(book_row(line), owed.business_id) for line in of_shop]
        theirs[0] = replace(theirs[0], amount_minor=right + other)
        await take(db, owes, theirs)
        await run_over(db, owes)
    (short,) = await _open(db, owed)
    assert await verdicts(db, break_ids=[short.break_id]) == {short.break_id: verdict}
    if verdict == "hub":
        (theirs_too,) = await _open(db, owes)
        assert await verdicts(db, break_ids=[theirs_too.break_id]) == {theirs_too.break_id: verdict}


@pytest.mark.parametrize(("other", "verdict"), [(True, "hub"), (False, "book")])
async def test_what_the_hub_lacks_or_has_too_much(
    db: AsyncConnection, *, other: bool, verdict: str
) -> None:
    """A row that only the restaurant has, or both have; a line that it lacks, or both lack."""
    lines, owed, owes = await _month(db)
    of_shop = [line for line in lines if line.issuer_id == owes.business_id]
    ghost = replace(book_row(of_shop[0]), reference="G", receipt="ghost", points=7, amount_minor=6)
    await take(db, owed, [ghost, *(book_row(one) for one in lines if one != of_shop[1])])
    theirs = [_owing(book_row(one), owed.business_id) for one in of_shop]
    if other:
        theirs[1] = _owing(ghost, owed.business_id)
    await take(db, owes, theirs)
    for book in (owed, owes):
        await run_over(db, book)
    found = await _open(db, owed)
    assert sorted(one.kind for one in found) == ["missing_at_hub", "missing_at_partner"]
    told = await verdicts(db, break_ids=[one.break_id for one in found])
    assert set(told.values()) == {verdict}
