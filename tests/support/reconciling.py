"""A closed month to reconcile, and the book that a business would keep of it."""

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.reconciliation.advance import STEPS, advance
from hub.reconciliation.ask_run import ask_run
from hub.reconciliation.codes import Leg, Role
from hub.reconciliation.mapping import read_mapping
from hub.reconciliation.rows import PartnerRow
from hub.reconciliation.runs import Run
from hub.reconciliation.save_mapping import SavedMapping, save_mapping
from hub.reconciliation.take_in import TakenIn, take_in
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.support.settlement import noon

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
NOW = noon(date(2026, 12, 2))

_ENTRIES = """
INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at, business_date,
  debit, credit, issuer_id, business_id, unit, cost_rate)
SELECT 1 + n % 1000, ledger_tx_at(timestamptz '2026-11-01 12:00Z') + n, 1, n, 1 + n % 1000,
  {points}, timestamptz '2026-11-01 12:00Z' + n % 30 * interval '1 day',
  date '2026-11-01' + n % 30, 1, 20, CASE n % 2 WHEN 0 THEN {retail} ELSE {hotel} END, {dining}, 1,
  0.008
FROM generate_series(1, {lines}) n"""
_HEADERS = """
INSERT INTO ledger_transaction (tx_id, member_id, account_id, points, occurred_at, business_date,
  business_id, kind, idempotency_key)
SELECT tx_id, member_id, account_id, points, occurred_at, business_date, business_id, 2,
  'till-' || lot_id FROM entry WHERE lot_id <= {lines}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the hub has: a line of the month."""

    tx_id: int
    n: int
    issuer_id: int
    points: int
    amount_minor: int
    day: date

    @property
    def receipt(self) -> str:
        return f"till-{self.n}"


async def closed_month(
    db: AsyncConnection, ids: dict[str, int], *, lines: int, points: str = "125 * (1 + n % 400)"
) -> list[Line]:
    """Have the restaurant take `lines` times points of shop and hotel in November, and close it."""
    words = {**ids, "lines": lines, "points": points}
    await db.execute(text("SELECT ledger_make_partition(date '2026-11-01')"))
    await db.execute(text(_ENTRIES.format(**words)))
    await db.execute(text(_HEADERS.format(**words)))
    period = await open_period(db, code="2026-11", now=NOW)
    await close(db, period_id=period.period_id, now=NOW)
    return await lines_of(db)


async def lines_of(db: AsyncConnection) -> list[Line]:
    rows = await db.execute(
        text("""
          SELECT o.tx_id, e.lot_id AS n, o.issuer_id, o.points, (o.amount * 100)::bigint
            AS amount_minor, o.business_date AS day
          FROM obligation o JOIN entry e USING (member_id, tx_id, seq) ORDER BY o.tx_id""")
    )
    return [Line(**row._asdict()) for row in rows]


def book_row(line: Line, *, number: int | None = None, named: bool = True) -> PartnerRow:
    """What a book that agrees says of a line."""
    return PartnerRow(
        number=number or line.n,
        leg=Leg.CREDITOR,
        day=line.day,
        points=line.points,
        amount_minor=line.amount_minor,
        currency="CNY",
        counterparty_id=line.issuer_id,
        reference=f"R{line.n}",
        receipt=line.receipt if named else None,
    )


async def make_mapping(
    db: AsyncConnection,
    *,
    business: str = "dining",
    role: Role = Role.CREDITOR,
    code: str = "book",
    **said: object,
) -> SavedMapping:
    config = read_mapping({"code": code, "business": business, "role": role, **said})
    return await save_mapping(db, config=config, actor="ann", now=NOW)


_files = itertools.count(1)


async def take(
    db: AsyncConnection, mapping: SavedMapping, rows: Iterable[PartnerRow], **how: bool
) -> TakenIn:
    """Take in rows as a file of its own bytes."""
    n = next(_files)
    numbered = [replace(row, number=place) for place, row in enumerate(rows, start=2)]
    return await take_in(
        db,
        mapping=mapping,
        name=f"{n}.csv",
        sha256=hashlib.sha256(str(n).encode()).digest(),
        rows=numbered,
        actor="ann",
        now=NOW,
        **how,
    )


async def run_over(
    db: AsyncConnection,
    mapping: SavedMapping,
    *,
    first: date = FIRST,
    last: date = LAST,
    now: datetime = NOW,
) -> Run:
    run = await ask_run(
        db, mapping=mapping, from_date=first, to_date=last, actor="ann", now=now, by_worker=False
    )
    for _ in STEPS:
        run = await advance(db, run_id=run.run_id, now=now)
    assert run.finished_at is not None
    return run


async def state_of(db: AsyncConnection) -> list[tuple[object, ...]]:
    """Everything that a run that finds nothing new must leave as it is."""
    found: list[tuple[object, ...]] = []
    for query in (
        "SELECT match_id, leg, rule, state, note FROM reconciliation_match ORDER BY match_id",
        "SELECT match_id, row_id, leg, live FROM reconciliation_match_row ORDER BY 1, 2",
        "SELECT * FROM reconciliation_break ORDER BY break_id",
        "SELECT * FROM reconciliation_break_row ORDER BY 1, 2",
        "SELECT * FROM reconciliation_break_event ORDER BY event_id",
    ):
        found += [tuple(row) for row in await db.execute(text(query))]
    return found


async def breaks_found(db: AsyncConnection) -> dict[str, list[set[str]]]:
    """Return the open breaks by kind, each as the names of its rows: a reference, or a receipt."""
    rows = await db.execute(
        text("""
          SELECT b.break_id, b.kind, array_agg(coalesce(p.reference, t.idempotency_key)) AS names
          FROM reconciliation_break b JOIN reconciliation_break_row r USING (break_id)
          LEFT JOIN reconciliation_partner_row p ON p.row_id = r.row_id
          LEFT JOIN reconciliation_hub_row h ON h.row_id = r.row_id
          LEFT JOIN ledger_transaction t ON t.tx_id = h.tx_id
          WHERE b.closed_at IS NULL GROUP BY b.break_id, b.kind ORDER BY b.break_id""")
    )
    found: dict[str, list[set[str]]] = {}
    for row in rows:
        found.setdefault(row.kind, []).append(set(row.names))
    return found


async def consumed_twice(db: AsyncConnection) -> int:
    return (
        await db.scalar(
            text("""
              SELECT count(*) FROM (SELECT FROM reconciliation_match_row WHERE live
                GROUP BY row_id, leg HAVING count(*) > 1) AS twice""")
        )
        or 0
    )


def later(row: PartnerRow, days: int) -> PartnerRow:
    return replace(row, day=row.day + timedelta(days=days))


async def matches_found(db: AsyncConnection) -> list[tuple[int, list[str]]]:
    """Return the matches of rules by leg, each as the names of its rows, sorted."""
    rows = await db.execute(
        text("""
          SELECT m.leg, array_agg(coalesce(p.reference, t.idempotency_key)
            ORDER BY coalesce(p.reference, t.idempotency_key)) AS names
          FROM reconciliation_match m JOIN reconciliation_match_row r USING (match_id)
          LEFT JOIN reconciliation_partner_row p ON p.row_id = r.row_id
          LEFT JOIN reconciliation_hub_row h ON h.row_id = r.row_id
          LEFT JOIN ledger_transaction t ON t.tx_id = h.tx_id
          WHERE m.state = 'confirmed' GROUP BY m.match_id, m.leg""")
    )
    return sorted((row.leg, list(row.names)) for row in rows)
