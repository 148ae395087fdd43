"""Sweeps over a chunk of members read and write what the chunk has, however large the rest is."""

from datetime import date
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.post import post_activation, post_expiry, post_more_time
from tests.support.ledger import NOON, TODAY

CROWD, CHUNK = 30_000, 500
SEED = (
    f"""INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
          earned_at, rule_id, cost_rate)
        SELECT m, m, m, 1, 100, 100, DATE '{TODAY}' - 1, now(), 1, 0.008
        FROM generate_series(1, {CROWD}) m""",
    f"""INSERT INTO balance (member_id, unit, posted)
        SELECT m, 1, 100 FROM generate_series(1, {CROWD}) m""",
    "ANALYZE lot, balance",
)


async def read(db: AsyncConnection) -> dict[str, int]:
    """How many rows scans from end to end have read in this transaction."""
    rows = await db.execute(
        text("""
          SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables
          WHERE relname IN ('lot', 'balance')""")
    )
    return {row.relname: row.seq_tup_read for row in rows}


async def test_a_sweep_reads_its_chunk_and_no_more(db: AsyncConnection) -> None:
    for statement in SEED:
        await db.execute(text(statement))
    before = await read(db)
    chunk: dict[str, Any] = {"member_ids": list(range(2_000, 2_000 + CHUNK)), "now": NOON}
    given = await post_more_time(
        db, **chunk, unit=1, within=TODAY, months=1, reason="gold", today=TODAY
    )
    chunk["member_ids"] = list(range(9_000, 9_000 + CHUNK))
    ended = await post_expiry(db, **chunk, today=TODAY)
    assert (given.lots, ended.lots) == (CHUNK, CHUNK)
    assert await read(db) == before


async def test_a_lot_that_closes_is_updated_in_place(db: AsyncConnection) -> None:
    for statement in SEED:
        await db.execute(text(statement.replace(str(CROWD), "10")))
    # What the session did before is counted too, until that is told to the server.
    before = await updates(db)
    await post_expiry(db, member_ids=range(1, 11), today=TODAY, now=NOON)
    after = await updates(db)
    assert [one - was for one, was in zip(after, before, strict=True)] == [10, 10]


async def updates(db: AsyncConnection) -> Row[Any]:
    """Return how many updates of lots there were, and how many were in place."""
    counted = await db.execute(
        text("""
          SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'lot'""")
    )
    return counted.one()


async def test_what_closed_while_it_was_pending_leaves_the_index(db: AsyncConnection) -> None:
    await db.execute(
        text("""
          INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
            earned_at, rule_id, cost_rate, pending, activates_at, open)
          VALUES (1, 1, 1, 1, 100, 0, :ends, :at, 1, 0.008, true, :at, false)"""),
        {"ends": date(2030, 1, 1), "at": NOON},
    )
    await post_activation(db, member_ids=[1], now=NOON)
    assert await db.scalar(text("SELECT count(*) FROM lot WHERE pending")) == 0
