"""A closed period never changes (I8), adds up (I6), and its statements say why."""

import csv
from collections import defaultdict
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.queries import statement
from tests.support.settlement import KINDS, Tills, agreement, make_group, noon, statement_csv

NOVEMBER = date(2026, 11, 10)
NOW = noon(date(2026, 12, 1))
# What would make a row of its table a new one.
ADDED = {
    "obligation": '{"tx_id": 1000000, "line_id": 1000000}',
    "settlement_gross": '{"currency": "XXX"}',
    "bilateral": '{"currency": "XXX"}',
    "net_position": '{"currency": "XXX"}',
    "statement": '{"business_id": 99}',
}


async def _odd_month(db: AsyncConnection) -> tuple[int, dict[str, int]]:
    """Close a month whose lines do not come out in whole cents."""
    rates = {("retail", "dining"): "0.00333", ("dining", "retail"): "0.0071"}
    pairs = [(i, a) for i in KINDS for a in KINDS if i != a]
    ids = await make_group(db, [agreement(i, a, rates.get((i, a), "0.008")) for i, a in pairs])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 10_000, NOVEMBER)
    await tills.issue("dining", 2, 10_000, NOVEMBER)
    for points in (7, 11, 13, 101):
        spent = await tills.redeem("dining", 1, points, NOVEMBER)
        await tills.redeem("hotel", 1, points, NOVEMBER)
        await tills.redeem("retail", 2, points, NOVEMBER)
    await tills.restore("dining", 1, spent, 50, date(2026, 11, 12))
    period = await open_period(db, code="2026-11", now=NOW)
    await close(db, period_id=period.period_id, now=NOW)
    return period.period_id, ids


async def _told(db: AsyncConnection, period_id: int, business_id: int) -> list[dict[str, str]]:
    told = await statement_csv(db, period_id=period_id, business_id=business_id)
    return list(csv.DictReader(StringIO(told.decode(), newline="")))


async def test_the_lines_and_roundings_of_a_statement_add_up_to_its_net(
    db: AsyncConnection,
) -> None:
    period_id, ids = await _odd_month(db)
    for business_id in ids.values():
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for row in await _told(db, period_id, business_id):
            if row["amount"]:
                sums[row["record"]] += Decimal(row["amount"])
        assert sums["line"] + sums["rounding"] == sums["gross"] == sums["bilateral"] == sums["net"]
        assert sums["net"] == round(sums["net"], 2)


async def test_a_statement_shows_receipts_and_what_rounding_added(db: AsyncConnection) -> None:
    period_id, ids = await _odd_month(db)
    rows = await _told(db, period_id, ids["dining"])
    accepted = [r for r in rows if r["record"] == "line" and r["acceptor"] == "dining"]
    assert [(r["points"], r["rate"], r["amount"], r["business_date"]) for r in accepted] == [
        ("7", "0.00333", "0.02331", "2026-11-10"),
        ("11", "0.00333", "0.03663", "2026-11-10"),
        ("13", "0.00333", "0.04329", "2026-11-10"),
        ("101", "0.00333", "0.33633", "2026-11-10"),
        ("-50", "0.00333", "-0.1665", "2026-11-12"),
    ]
    receipts = [int(r["receipt"]) for r in accepted]
    known = await db.scalar(
        text("SELECT count(*) FROM ledger_transaction WHERE tx_id = ANY(CAST(:tx AS bigint[]))"),
        {"tx": receipts},
    )
    assert known == len(set(receipts)) == 5
    (rounding,) = [r for r in rows if r["record"] == "rounding" and r["acceptor"] == "dining"]
    (gross,) = [r for r in rows if r["record"] == "gross" and r["acceptor"] == "dining"]
    assert (rounding["amount"], gross["amount"], gross["points"]) == ("-0.00306", "0.27", "82")
    assert [r["amount"] for r in rows if r["record"] == "net"] == ["-0.67"]


async def test_a_business_is_told_of_its_own_lines_only(db: AsyncConnection) -> None:
    period_id, ids = await _odd_month(db)
    for code, business_id in ids.items():
        for row in await _told(db, period_id, business_id):
            assert row["business"] == code
            if row["issuer"]:
                assert code in (row["issuer"], row["acceptor"])


async def test_an_open_period_has_no_statement(db: AsyncConnection) -> None:
    ids = await make_group(db, [])
    period = await open_period(db, code="2026-11", now=NOW)
    with pytest.raises(NotFound, match="stated once it is closed"):
        await statement(db, period_id=period.period_id, business_id=ids["hotel"])


async def _must_fail(db: AsyncConnection, sql: str, why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        async with db.begin_nested():
            await db.exec_driver_sql(sql)


@pytest.mark.parametrize("table", ADDED)
async def test_nothing_of_a_closed_period_is_changed_removed_or_added(
    db: AsyncConnection, table: str
) -> None:
    await _odd_month(db)
    await _must_fail(db, f"UPDATE {table} SET period_id = period_id", "append-only")
    await _must_fail(db, f"DELETE FROM {table}", "append-only")
    await _must_fail(db, f"TRUNCATE {table}", "append-only")
    await db.execute(
        text("""
          INSERT INTO business OVERRIDING SYSTEM VALUE
          SELECT (jsonb_populate_record(b, '{"business_id": 99, "code": "spa"}')).*
          FROM business b LIMIT 1""")
    )
    another = f"(jsonb_populate_record(t, '{ADDED[table]}')).*"
    await _must_fail(db, f"INSERT INTO {table} SELECT {another} FROM {table} t LIMIT 1", "I8")


@pytest.mark.parametrize(
    "change",
    [
        "state = 'open', closed_at = NULL",
        "state = 'closing', closed_at = NULL",
        "state = 'issued'",
        "ends_on = ends_on + 1",
        "state = 'approved', closed_at = closed_at + interval '1 day'",
        "state = 'approved', starts_on = starts_on - 1",
    ],
)
async def test_a_period_only_moves_on_and_keeps_its_days(db: AsyncConnection, change: str) -> None:
    await _odd_month(db)
    await _must_fail(db, f"UPDATE settlement_period SET {change}", "only moves on")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ("'2027-01', '2027-01-01', '2027-01-31', now(), 'draft'", "begins open"),
        ("'half', '2026-11-15', '2026-12-15', NULL, 'open'", "settlement_period_daterange_excl"),
        ("'none', '2027-01-02', '2027-01-01', NULL, 'open'", "check constraint"),
        ("'2026-11', '2027-01-01', '2027-01-31', NULL, 'open'", "settlement_period_code_key"),
    ],
)
async def test_a_period_begins_open_and_shares_no_day_and_no_code(
    db: AsyncConnection, values: str, why: str
) -> None:
    await _odd_month(db)
    columns = "code, starts_on, ends_on, closed_at, state, opened_at"
    await _must_fail(db, f"INSERT INTO settlement_period ({columns}) VALUES ({values}, now())", why)


async def test_a_period_is_never_removed(db: AsyncConnection) -> None:
    await _odd_month(db)
    await _must_fail(db, "DELETE FROM settlement_period", "append-only")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("INSERT INTO net_position VALUES (:p, 5, :a, 'CNY')", "I6 broken"),
        (
            "INSERT INTO net_position VALUES (:p, 5, :a, 'CNY'), (:p, -5, :b, 'CNY')",
            "the totals leave business",
        ),
        (
            "INSERT INTO settlement_gross VALUES (:p, 1, 10, 8, :a, :b, 'CNY', 0.08, 0, 8, 0, 1)",
            "the lines of .* sum to",
        ),
        (
            "INSERT INTO bilateral VALUES (:p, 8, 0, 8, :a, :b, 'CNY')",
            "the bilateral positions leave business",
        ),
    ],
    ids=["unbalanced nets", "nets without totals", "totals without lines", "pairs without nets"],
)
async def test_a_period_that_does_not_add_up_is_not_closed(
    db: AsyncConnection, wrong: str, why: str
) -> None:
    ids = await make_group(db, [])
    period = await open_period(db, code="2026-11", now=NOW)
    await db.execute(text("UPDATE settlement_period SET state = 'closing'"))
    facts = {"p": period.period_id, "a": ids["retail"], "b": ids["hotel"]}
    used = {name: value for name, value in facts.items() if f":{name}" in wrong}
    await db.execute(text(wrong), used)
    await _must_fail(db, "UPDATE settlement_period SET state = 'draft', closed_at = now()", why)
