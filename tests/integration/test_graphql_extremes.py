"""Values that fit their types and still mean nothing: each is the caller's mistake, and said so."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from graphql_schema.context import Context
from graphql_schema.errors import told
from hub.clock import now
from hub.crypto.keyring import ensure
from tests.integration.api_kit import FINANCE, Api

READS = {
    '{ journals(period: "\\u0000") { reference } }': "not_found",
    '{ elimination(period: "\\u0000") { currency } }': "not_found",
    '{ journalFiles(period: "\\u0000", format: "csv") { name } }': "not_found",
    '{ settlementPeriod(code: "\\u0000") { code } }': None,
    '{ liability(asOf: "0001-01-01T00:00:00+14:00") { owed } }': "bad_request",
    '{ denials(filter: { minuteBefore: "9999-12-31T23:59:59Z" }) { nodes { count } } }':
        "bad_request",
    '{ liability(asOf: "9999-12-31T24:00Z") { owed } }': "bad_request",
}  # fmt: skip
WRITES = {
    'closePeriod(input: { period: "\\u0000" })': "InvalidInput",
    'waiveCheck(input: { period: "\\u0000", check: "c", reason: "r" })': "PeriodUnknown",
    'approvePeriod(input: { period: "\\u0000" })': "PeriodUnknown",
    'issuePeriod(input: { period: "\\u0000" })': "PeriodUnknown",
    'preparePayments(input: { period: "\\u0000" })': "PeriodUnknown",
    'releasePayments(input: { period: "\\u0000" })': "PeriodUnknown",
    'postJournals(input: { period: "\\u0000" })': "PostingUnknown",
    'reconcile(input: { mapping: "\\u0000", from: "2026-01-01", to: "2026-01-31" })':
        "ReconciliationUnknown",
}  # fmt: skip


async def test_what_names_nothing_is_answered_as_such(api: Api) -> None:
    found: dict[str, Any] = {}
    for query in READS:
        answer = await api.ask(query, FINANCE)
        found[query] = next((e["extensions"]["code"] for e in answer.get("errors", ())), None)
    assert found == READS
    done = {}
    for write in WRITES:
        data = await api.data(f"mutation {{ done: {write} {{ __typename }} }}", FINANCE)
        done[write] = data["done"]["__typename"]
    assert done == WRITES


async def test_text_that_the_database_takes_nowhere_is_the_callers_mistake(
    db: AsyncConnection,
) -> None:
    with pytest.raises(DBAPIError) as raised:
        async with db.begin_nested():
            await db.scalar(text("SELECT CAST(:said AS text)"), {"said": "a\0b"})
    failed = GraphQLError("failed", original_error=raised.value, path=["rename"])
    assert told(failed).extensions == {"code": "malformed", "field": "rename"}


async def test_a_branch_that_outlives_its_answer_ends_and_takes_no_connection(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    keyring = ensure(tmp_path / "keyring.json")
    over = Context(engine, readers=engine, keyring=keyring, principal=None, now=now())
    async with over as context, context.reading():
        assert engine.pool.checkedout() == 1  # type: ignore[attr-defined]
    with pytest.raises(asyncio.CancelledError):
        async with context.reading():
            pass
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
