"""From a line of a settlement back to the receipts and to the deliveries that told of them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.crypto import tokens
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import FINANCE, running_api
from tests.support.golden import EARLY, LATER, PHONES, GoldenMonth

LINES = """query { settlementPeriod(code: "2026-10") { obligations { nodes {
  points transaction
  posting { transaction kind business { code } reference document connection delivery }
  lotPosting { kind business { code } reference document connection delivery } } } } }"""


@pytest.fixture
async def lines(
    engine: AsyncEngine, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[dict[str, list[dict[str, Any]]]]:
    """The lines of a small month as finance, issuer and acceptor see them."""
    month = GoldenMonth(engine, database_url)
    await month.configure()
    await month.sell("R", 1_980, EARLY, PHONES["R"])
    await month.spend("R", "H", 1_500, LATER, key="table-7")
    await month.aclose()
    async with engine.begin() as db:
        at = datetime(2026, 11, 1, tzinfo=UTC)
        period = await open_period(db, code="2026-10", now=at)
        await close(db, period_id=period.period_id, now=at)
    async with running_api(database_url, redis_url, tmp_path) as api:
        callers = {"finance": FINANCE}
        callers |= {code: tokens.business(code) for code in ("retail", "hotel", "dining")}
        seen = {}
        for name, caller in callers.items():
            found = await api.data(LINES, caller)
            seen[name] = found["settlementPeriod"]["obligations"]["nodes"]
        yield seen


async def test_each_line_leads_to_both_receipts(
    lines: dict[str, list[dict[str, Any]]], engine: AsyncEngine
) -> None:
    found = lines["finance"]
    assert [line["points"] for line in found] == [1250, 250]
    for line in found:
        assert line["posting"] == {
            "transaction": line["transaction"], "kind": "redeem", "business": {"code": "hotel"},
            "reference": "table-7", "document": None, "connection": None, "delivery": None,
        }  # fmt: skip
        assert line["lotPosting"]["kind"] == "earn"
        assert line["lotPosting"]["connection"] == "retail-system"
    receipts = [line["lotPosting"]["document"] for line in found]
    async with engine.connect() as db:
        told = {
            row.entity_id: str(row.delivery_id)
            for row in await db.execute(text("SELECT entity_id, delivery_id FROM business_fact"))
        }
    assert set(receipts) == told.keys()
    assert len(told) == 2
    assert [line["lotPosting"]["delivery"] for line in found] == [told[one] for one in receipts]


async def test_a_business_is_told_what_is_its_own(lines: dict[str, list[dict[str, Any]]]) -> None:
    nothing = {"reference": None, "document": None, "connection": None, "delivery": None}
    for line in lines["retail"]:
        assert line["posting"].items() >= {**nothing, "business": {"code": "hotel"}}.items()
        assert line["lotPosting"]["document"].startswith("R-")
    for line in lines["hotel"]:
        assert line["posting"]["reference"] == "table-7"
        assert line["lotPosting"].items() >= {**nothing, "business": {"code": "retail"}}.items()
    assert lines["dining"] == []


async def test_numbers_are_found_by_the_pages_they_lie_in(engine: AsyncEngine) -> None:
    """A trace must not read the ledger through, nor may postings pay for an index of their own."""
    async with engine.connect() as db:
        await db.execute(text("SET enable_seqscan = off"))
        plan = await db.scalars(
            text("EXPLAIN SELECT FROM ledger_transaction WHERE tx_id = ANY ('{1,2}')")
        )
        assert any("ledger_transaction_tx" in line for line in plan)
