"""What the database itself refuses in the ledger, whoever asks (I1, I2, I5)."""

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.ledger import give

_HOLD = """INSERT INTO hold (member_id, hold_id, points, captured, voided, open, expires_at,
  placed_on, business_id) VALUES (7, 1, 10, {captured}, {voided}, {open}, now(), now(), 1)"""


async def _must_fail(db: AsyncConnection, sql: str, why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        async with db.begin_nested():
            await db.exec_driver_sql(sql)


@pytest.mark.parametrize(
    "statement", ["UPDATE entry SET points = points", "DELETE FROM entry", "TRUNCATE entry"]
)
async def test_entries_are_never_changed_or_removed(db: AsyncConnection, statement: str) -> None:
    await give(db, 7, 100)
    await _must_fail(db, statement, "append-only")


@pytest.mark.parametrize("table", ["ledger_transaction", "business_fact"])
@pytest.mark.parametrize("verb", ["DELETE FROM", "TRUNCATE"])
async def test_what_answers_a_repeated_request_is_never_removed(
    db: AsyncConnection, table: str, verb: str
) -> None:
    await _must_fail(db, f"{verb} {table}", "append-only")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [('{"credit": 10}', "entry_two_sides"), ('{"points": 0}', "entry_two_sides")],
)
async def test_an_entry_has_two_sides_and_moves_something(
    db: AsyncConnection, wrong: str, why: str
) -> None:
    await give(db, 7, 100)
    await db.exec_driver_sql("CREATE TEMP TABLE earned ON COMMIT DROP AS SELECT * FROM entry")
    copy = "INSERT INTO entry SELECT (jsonb_populate_record(e, '{}')).* FROM earned e"
    # The same row under another number goes in; only what is wrong with its twin keeps that out.
    await db.exec_driver_sql(copy.replace("{}", '{"seq": 2}'))
    await _must_fail(db, copy.replace("{}", wrong[:-1] + ', "seq": 3}'), why)


async def test_a_hold_ends_for_no_more_than_it_holds(db: AsyncConnection) -> None:
    await _must_fail(db, _HOLD.format(captured=7, voided=4, open="false"), "hold_check")
    await _must_fail(db, _HOLD.format(captured=7, voided=3, open="true"), "hold_check")
    await db.exec_driver_sql(_HOLD.format(captured=7, voided=3, open="false"))


@pytest.mark.parametrize("wrong", ["posted = -1", "held = 101", "held = -1"])
async def test_a_balance_is_neither_overdrawn_nor_held_twice(
    db: AsyncConnection, wrong: str
) -> None:
    await give(db, 7, 100)
    await _must_fail(db, f"UPDATE balance SET {wrong} WHERE member_id = 7", "balance_sane")
