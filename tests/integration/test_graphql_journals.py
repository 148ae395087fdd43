"""Journals by GraphQL and on the command line: finance posts, a business sees its own entity's."""

import asyncio
import base64
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.accounting.recognise import recognise
from hub.clock import now
from hub.entrypoints.cli import app
from hub.settlement.approve_period import approve_period
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import FINANCE, HOTEL, SHOP, STAFF, Api
from tests.integration.test_graphql_settlement import _spend
from tests.support.accounting import account_for, expect
from tests.support.journals import give_charts

CODE = f"{now():%Y-%m}"
FIRST = date.fromisoformat(f"{CODE}-01")
JOURNALS = """query ($period: String!) { journals(period: $period) {
  reference legalEntity dated postedBy total { formatted }
  lines { event purpose accountCode accountName taxCode points business { code }
    counterparty { code } debit { amountMinor } credit { amountMinor } } } }"""
SHEETS = """query ($period: String!) { elimination(period: $period) {
  currency total { formatted }
  lines { event purpose business { code } counterparty { code } debit { formatted }
    credit { formatted } } } }"""
FILES = """query ($period: String!, $format: String!) {
  journalFiles(period: $period, format: $format) { name mediaType contentBase64 } }"""
POST = """mutation ($period: String!) { postJournals(input: { period: $period }) {
  __typename ... on JournalsPosted { journals { reference } } ... on Rejection { message } } }"""


@pytest.fixture
async def ready(api: Api) -> Api:
    """A month in which the hotel took points of the shop: closed, approved and recognised."""
    async with api.engine.begin() as db:
        for business_id in api.ids.values():
            await account_for(db, business_id, value="0.01", since=FIRST)
            await expect(db, business_id, "0.8", since=FIRST)
    li = await api.join("shop", "c-1", phone="+8613910203040")
    await api.buy(li, "shop", 1000)
    await _spend(api, "hotel", 500)
    async with api.engine.begin() as db:
        period = await open_period(db, code=CODE, now=now())
        await close(db, period_id=period.period_id, now=now())
        await approve_period(db, period_id=period.period_id, actor="li", now=now())
        await recognise(db, period_id=period.period_id, actor="wei", now=now())
    return api


async def post(api: Api, who: Any = FINANCE, period: str = CODE) -> dict[str, Any]:
    answer: dict[str, Any] = (await api.data(POST, who, period=period))["postJournals"]
    return answer


async def test_finance_posts_and_everybody_sees_what_is_theirs(ready: Api) -> None:
    assert (await post(ready, SHOP))["__typename"] == "Forbidden"
    assert (await post(ready, period="2019-01"))["__typename"] == "PostingUnknown"
    without_charts = await post(ready)
    assert without_charts["__typename"] == "PostingNotReady"
    assert "shop-ltd: " in without_charts["message"]
    async with ready.engine.begin() as db:
        await give_charts(db, "shop-ltd", "hotel-ltd", "diner-ltd")
    done = await post(ready)
    assert done["__typename"] == "JournalsPosted"
    assert await post(ready) == done

    for who, entities in (
        (FINANCE, ["hotel-ltd", "shop-ltd"]),
        (STAFF, ["hotel-ltd", "shop-ltd"]),
        (HOTEL, ["hotel-ltd"]),
    ):
        seen = (await ready.data(JOURNALS, who, period=CODE))["journals"]
        assert [journal["legalEntity"] for journal in seen] == entities
    (hotel,) = (await ready.data(JOURNALS, HOTEL, period=CODE))["journals"]
    assert (hotel["postedBy"], hotel["total"]["formatted"]) == (FINANCE.subject, "4.00")
    assert [
        (x["purpose"], x["counterparty"]["code"], x["debit"]["amountMinor"],
         x["credit"]["amountMinor"])
        for x in hotel["lines"]
    ] == [("receivable", "shop", 400, 0), ("partner_revenue", "shop", 0, 400)]  # fmt: skip
    (sheet,) = (await ready.data(SHEETS, FINANCE, period=CODE))["elimination"]
    assert sheet["total"]["formatted"] == "8.00"
    assert {x["purpose"] for x in sheet["lines"]} == {
        "receivable", "payable", "partner_revenue", "redemption_cost",
    }  # fmt: skip


async def test_finance_gets_files(ready: Api) -> None:
    assert await ready.code(FILES, FINANCE, period=CODE, format="csv") == "not_found"
    async with ready.engine.begin() as db:
        await give_charts(db, "shop-ltd", "hotel-ltd", "diner-ltd")
    await post(ready)
    assert await ready.code(FILES, FINANCE, period=CODE, format="abacus") == "malformed"
    (file,) = (await ready.data(FILES, FINANCE, period=CODE, format="csv"))["journalFiles"]
    content = base64.b64decode(file["contentBase64"]).decode()
    assert content.startswith("reference,date,period,")
    assert "shop-ltd" in content


async def test_the_command_line_posts_shows_exports_and_eliminates(
    ready: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with ready.engine.begin() as db:
        await give_charts(db, "shop-ltd", "hotel-ltd", "diner-ltd")
    monkeypatch.setenv("HUB_DATABASE_URL", ready.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("COLUMNS", "200")

    def hub(*words: str) -> str:
        ran = CliRunner().invoke(app, ["journals", *words], catch_exceptions=False)
        assert ran.exit_code == 0
        return ran.output

    async def run(*words: str) -> str:
        return await asyncio.to_thread(hub, *words)

    assert "nothing is posted yet" in await run("show", CODE)
    posted = await run("post", CODE, "--as", "wei")
    assert "hotel-ltd" in posted
    assert await run("show", CODE) == posted
    assert "partner_revenue" in await run("eliminate", CODE)
    written = await run("export", CODE, str(tmp_path / "u8"), "--format", "yonyou")
    files = sorted((tmp_path / "u8").iterdir())
    assert len(files) == 2
    assert all(file.name in written.replace("\n", "") for file in files)
