"""What was settled before lines had kinds stands as it was, and proves as it did."""

import asyncio
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.pool import NullPool

from hub.db.engine import make_engine
from hub.db.migrate import upgrade
from hub.settlement.codes import LineKind, Source
from hub.settlement.dues import dues
from hub.settlement.queries import obligations, totals
from hub.settlement.verify import CHECKS, DUES, PERIODS, check

CLOSED = (
    """INSERT INTO legal_entity (code, name) VALUES ('group', 'Group')""",
    """INSERT INTO business (code, name, kind, legal_entity_id, currency, country, time_zone)
       SELECT code, code, 'retail', 1, 'CNY', 'CN', 'Asia/Shanghai'
       FROM unnest(ARRAY['shop', 'inn']) code""",
    """INSERT INTO agreement (issuer_id, acceptor_id, effective_from, currency, rate_per_point)
       VALUES (1, 2, '2026-01-01', 'CNY', 0.008)""",
    """INSERT INTO settlement_period (code, starts_on, ends_on, opened_at)
       VALUES ('2026-03', '2026-03-01', '2026-03-31', '2026-03-01Z')""",
    "UPDATE settlement_period SET state = 'closing'",
    """INSERT INTO obligation (member_id, tx_id, seq, account_id, points, occurred_at, posted_at,
         business_date, period_id, agreement_id, issuer_id, acceptor_id, late, currency, rate,
         amount)
       SELECT 7, 100, n, 70, 125, '2026-03-05Z', '2026-03-05Z', '2026-03-05', 1, 1, 1, 2, false,
         'CNY', 0.008, 1 FROM generate_series(1, 2) n""",
    """INSERT INTO settlement_gross (period_id, lines, points, gross_minor, issuer_id, acceptor_id,
         currency, exact, rounding) VALUES (1, 2, 250, 200, 1, 2, 'CNY', 2, 0)""",
    "INSERT INTO bilateral VALUES (1, 200, 0, 200, 1, 2, 'CNY')",
    "INSERT INTO net_position VALUES (1, -200, 1, 'CNY'), (1, 200, 2, 'CNY')",
    "UPDATE settlement_period SET state = 'draft', closed_at = '2026-04-01Z'",
)


async def test_a_period_closed_before_is_carried_over(empty_database_url: str) -> None:
    await asyncio.to_thread(upgrade, empty_database_url, "0025_egress")
    engine = make_engine(empty_database_url, poolclass=NullPool)
    try:
        async with engine.begin() as db:
            for statement in CLOSED:
                await db.execute(text(statement))
        await asyncio.to_thread(upgrade, empty_database_url)
        async with engine.begin() as db:
            lines = await obligations(db, period_id=1, first=10)
            (total,) = (await totals(db, period_ids=[1]))[1]
            broken = await check(db, PERIODS)
    finally:
        await engine.dispose()
    assert broken is None
    assert [(ln.kind, ln.source, ln.debtor_id, ln.creditor_id, ln.amount) for ln in lines] == [
        (LineKind.REDEMPTION, Source.ENTRY, 1, 2, Decimal(1))
    ] * 2
    assert len({line.line_id for line in lines}) == 2
    assert (total.kind, total.debtor_id, total.creditor_id) == (LineKind.REDEMPTION, 1, 2)
    assert (total.net_minor, total.tax_minor, total.gross_minor) == (200, 0, 200)


async def test_a_period_approved_before_is_due_as_it_was_stated(empty_database_url: str) -> None:
    await asyncio.to_thread(upgrade, empty_database_url, "0025_egress")
    engine = make_engine(empty_database_url, poolclass=NullPool)
    try:
        async with engine.begin() as db:
            approve = "UPDATE settlement_period SET state = 'approved'"
            for statement in (*CLOSED, approve):
                await db.execute(text(statement))
        await asyncio.to_thread(upgrade, empty_database_url)
        async with engine.begin() as db:
            (due,) = (await dues(db, period_ids=[1]))[1]
            broken = [name for name in (DUES, *CHECKS) if await check(db, name) is not None]
    finally:
        await engine.dispose()
    assert (due.debtor_id, due.creditor_id, due.gross_minor, due.due_minor) == (1, 2, 200, 200)
    assert broken == ["I6 a line says what its entry says"]  # there is none here


async def test_entries_from_before_are_summed_by_cohort(empty_database_url: str) -> None:
    await asyncio.to_thread(upgrade, empty_database_url, "0027_periods")
    engine = make_engine(empty_database_url, poolclass=NullPool)
    try:
        async with engine.begin() as db:
            for statement in (
                *CLOSED[:2],
                """INSERT INTO lot (member_id, lot_id, account_id, earned, remaining, earned_at,
                     expires_on, issuer_id, cost_rate)
                   VALUES (7, 100, 70, 250, 125, '2026-02-28 17:00Z', 'infinity', 1, 0.008)""",
                """INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points,
                     occurred_at, business_date, debit, credit, issuer_id, business_id, unit,
                     cost_rate)
                   SELECT 7, 100 + n, 1, 100, 70, 250 - n * 125, '2026-03-05Z', '2026-03-05',
                     CASE n WHEN 0 THEN 10 ELSE 1 END, CASE n WHEN 0 THEN 1 ELSE 20 END, 1, 1 + n,
                     1, 0.008 FROM generate_series(0, 1) n""",
                """INSERT INTO earn_basis (member_id, tx_id, total_minor, currency, lines)
                   VALUES (7, 100, 30000, 'CNY', '[{"base": 20000}, {"base": 5000}]')""",
            ):
                await db.execute(text(statement))
        await asyncio.to_thread(upgrade, empty_database_url)
        async with engine.begin() as db:
            rows = await db.execute(
                text("SELECT credit, cohort::text, points, price FROM entry_daily ORDER BY credit")
            )
            assert rows.all() == [
                (1, "2026-03-01", 250, Decimal(250)),  # the first of March, in Shanghai
                (20, "2026-03-01", 125, Decimal(0)),
            ]
    finally:
        await engine.dispose()
