"""Ten thousand rows with breaks of every kind planted: all are found, and none is invented."""

import random
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.reconciliation.rows import PartnerRow
from tests.support.reconciling import (
    Line,
    book_row,
    breaks_found,
    closed_month,
    consumed_twice,
    later,
    make_mapping,
    run_over,
    state_of,
    take,
)
from tests.support.settlement import agreement, make_group

LINES = 10_000
OF_EACH = 12
PAIRS = [agreement(issuer, "dining", "0.008") for issuer in ("retail", "hotel")]


class Planter:
    """Takes lines out of the agreeing book and says what must be found instead."""

    def __init__(self, lines: list[Line]) -> None:
        # Lines without a twin: nobody else took as many points of the same issuer.
        self.free = iter(lines)
        self.rows: list[PartnerRow] = []
        self.breaks: dict[str, list[set[str]]] = {}

    def line(self) -> Line:
        return next(self.free)

    def plant(self, kind: str, names: set[str], *rows: PartnerRow) -> None:
        self.rows += rows
        self.breaks.setdefault(kind, []).append(names)


def _named(planter: Planter) -> None:
    line = planter.line()
    planter.plant("missing_at_partner", {line.receipt})
    row = book_row(planter.line())
    planter.rows.append(row)
    ghost = replace(row, receipt=f"ghost-{row.reference}", reference=f"G{row.reference}",
                    points=row.points + 7, amount_minor=row.amount_minor + 7)  # fmt: skip
    planter.plant("missing_at_hub", {ghost.reference}, ghost)
    for kind, changes in {
        "amount": {"amount_minor": 3},
        "points": {"points": -3, "amount_minor": -2},
    }.items():
        line = planter.line()
        row = book_row(line)
        row = replace(row, **{name: getattr(row, name) + by for name, by in changes.items()})
        planter.plant(kind, {row.reference, line.receipt}, row)
    line = planter.line()
    planter.plant("date", {f"R{line.n}", line.receipt}, later(book_row(line), 9))
    line = planter.line()
    planter.plant("currency", {f"R{line.n}", line.receipt}, replace(book_row(line), currency="HKD"))


def _duplicated(planter: Planter) -> None:
    row = book_row(planter.line())
    planter.rows.append(row)
    planter.plant("duplicate", {row.reference}, row)
    row = book_row(planter.line())
    planter.rows.append(row)
    again = replace(row, reference=f"Z{row.reference}")
    planter.plant("duplicate", {again.reference}, again)


def _split_and_joined(planter: Planter) -> None:
    row = book_row(planter.line())
    for part, points in enumerate((row.points // 3, row.points - row.points // 3)):
        amount = row.amount_minor // 3 if part == 0 else row.amount_minor - row.amount_minor // 3
        planter.rows.append(
            replace(row, reference=f"{row.reference}-{part}", points=points, amount_minor=amount)
        )
    line, within = planter.line(), planter.line()
    planter.rows.append(later(book_row(line), 2))
    planter.rows.append(replace(book_row(within), amount_minor=within.amount_minor - 1))


def _unnamed(planter: Planter, twins: list[tuple[Line, Line]]) -> None:
    planter.rows.append(book_row(planter.line(), named=False))
    planter.rows.append(later(book_row(planter.line(), named=False), -1))
    one, other = twins.pop()
    row = book_row(one, named=False)
    planter.plant("ambiguous", {row.reference, one.receipt, other.receipt}, row)
    one, other = twins.pop()
    rows = [book_row(line, named=False) for line in (one, other)]
    for row in rows:
        planter.plant("ambiguous", {row.reference, one.receipt, other.receipt}, row)


def _in_parts(planter: Planter, joined: tuple[Line, Line], split: Line) -> None:
    """Sums without a name: a person is asked."""
    one, other = joined
    row = replace(
        book_row(one, named=False),
        points=one.points + other.points,
        amount_minor=one.amount_minor + other.amount_minor,
    )
    planter.plant("ambiguous", {row.reference, one.receipt, other.receipt}, row)
    whole = book_row(split, named=False)
    parts = [
        replace(whole, reference=f"{whole.reference}-a", points=whole.points - 11, amount_minor=5),
        replace(whole, reference=f"{whole.reference}-b", points=11,
                amount_minor=whole.amount_minor - 5),
    ]  # fmt: skip
    planter.plant("ambiguous", {*(part.reference for part in parts), split.receipt}, *parts)


def _near(planter: Planter, line: Line) -> None:
    """Without a name, and off by one thing: told as that, with the line that it must be."""
    row = replace(book_row(line, named=False), amount_minor=line.amount_minor + 50)
    planter.plant("amount", {row.reference, line.receipt}, row)


def _sorted(breaks: dict[str, list[set[str]]]) -> dict[str, list[list[str]]]:
    return {kind: sorted(sorted(names) for names in rows) for kind, rows in breaks.items()}


async def test_every_planted_break_is_found_and_none_is_invented(db: AsyncConnection) -> None:
    chance = random.Random(6)
    ids = await make_group(db, PAIRS)
    # Points are all different, but of the last hundred and twenty each has a twin on its day.
    points = f"125 * (CASE WHEN n > {LINES - 120} THEN n - 120 ELSE n END)"
    lines = await closed_month(db, ids, lines=LINES, points=points)
    twins = list(zip(lines[-240:-120], lines[-120:], strict=True))
    # Sums of these are more than any line.
    common, apart = lines[:-300], lines[-300:-240]
    chance.shuffle(common)
    planter = Planter(common)
    asked = twins[: 2 * OF_EACH]
    agreeing = [book_row(line) for pair in twins[2 * OF_EACH :] for line in pair]
    for n in range(OF_EACH):
        _named(planter)
        _duplicated(planter)
        _split_and_joined(planter)
        _unnamed(planter, asked)
        _near(planter, planter.line())
        # The same day, the same issuer.
        _in_parts(planter, (apart[n], apart[n + 30]), planter.line())
    agreeing += [book_row(line) for line in apart[OF_EACH:30] + apart[30 + OF_EACH :]]
    agreeing += [book_row(line) for line in planter.free]
    rows = planter.rows + agreeing
    chance.shuffle(rows)
    mapping = await make_mapping(db, tolerance={"amount_minor": 1, "days": 3})

    taken = await take(db, mapping, rows)
    assert taken.added == len(rows) > LINES - 100
    run = await run_over(db, mapping)

    found, planted = _sorted(await breaks_found(db)), _sorted(planter.breaks)
    for kind in found.keys() | planted.keys():
        got, want = found.get(kind, []), planted.get(kind, [])
        assert ([x for x in want if x not in got], [x for x in got if x not in want]) == ([], []), (
            kind
        )
        assert got == want
    assert await consumed_twice(db) == 0
    assert run.found["reference_within"] == 2 * OF_EACH
    assert run.found["reference_parts"] == OF_EACH
    assert (run.found["figures"], run.found["figures_within"]) == (OF_EACH, OF_EACH)

    before = await state_of(db)
    chance.shuffle(rows)
    again = await take(db, mapping, rows)
    assert (again.added, again.superseded, again.unchanged) == (0, 0, len(rows))
    await run_over(db, mapping)
    assert await state_of(db) == before
