"""Settlement by GraphQL: finance sees all of it, a business its part, and nobody a person."""

import hashlib
import json
from typing import Any

import pytest

from hub.clock import business_date, now
from hub.crypto import tokens
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, ZONE, Api

PERIOD = """query ($code: String!) { settlementPeriod(code: $code) {
  id code state startsOn endsOn
  netPositions { business { code } amount { amountMinor currency formatted } }
  bilateral { debtor { code } creditor { code } owed { formatted } counter { formatted }
    net { formatted } }
  obligations(first: 100) { nodes { issuer { code } acceptor { code } points rate amount late } }
} }"""
STATEMENT = """query ($code: String!, $business: String!) { settlementPeriod(code: $code) {
  statement(business: $business) { body sha256 signature publicKey links { json csv } } } }"""
MONTHS = """query ($first: Int, $after: String) { settlementPeriods(first: $first, after: $after) {
  nodes { code } pageInfo { hasNextPage endCursor } } }"""


@pytest.fixture
async def today(api: Api) -> str:
    """A closed day: the diner and the hotel each took points that the shop or the hotel granted."""
    li = await api.join("shop", "c-1", phone="+8613910203040")
    await api.buy(li, "shop", 1000)
    await _spend(api, "diner", 500)
    await _spend(api, "hotel", 125)
    guest = await api.join("hotel", "g-1", phone="+8613910203041")
    await api.buy(guest, "hotel", 300)
    await _spend(api, "shop", 100, phone="+8613910203041")
    code = f"{business_date(now(), ZONE)}"
    async with api.engine.begin() as db:
        period = await open_period(db, code=code, now=now())
        await close(db, period_id=period.period_id, now=now())
    return code


async def _spend(api: Api, business: str, points: int, phone: str = "+8613910203040") -> None:
    answer = await api.data(
        "mutation ($input: RedeemInput!) { redeem(input: $input) { __typename } }",
        tokens.business(business),
        input={"member": {"phone": phone}, "points": points, "idempotencyKey": f"{points}"},
    )
    assert answer["redeem"]["__typename"] == "Redeemed"


def _nets(period: dict[str, Any]) -> dict[str, str]:
    return {n["business"]["code"]: n["amount"]["formatted"] for n in period["netPositions"]}


@pytest.mark.parametrize("who", [FINANCE, STAFF], ids=lambda p: p.role)
async def test_finance_and_staff_see_all_of_a_period(api: Api, today: str, who: Any) -> None:
    period = (await api.data(PERIOD, who, code=today))["settlementPeriod"]
    assert period["state"] == "draft"
    assert _nets(period) == {"shop": "-4.20", "hotel": "0.20", "diner": "4.00"}
    assert len(period["obligations"]["nodes"]) == 3
    pair = next(p for p in period["bilateral"] if p["creditor"]["code"] == "hotel")
    assert pair["debtor"]["code"] == "shop"
    assert [pair[k]["formatted"] for k in ("owed", "counter", "net")] == ["1.00", "0.80", "0.20"]
    line = next(n for n in period["obligations"]["nodes"] if n["acceptor"]["code"] == "hotel")
    assert (line["points"], line["rate"], line["late"]) == (125, "0.00800000", False)
    again = await api.data("query ($id: ID!) { node(id: $id) { id } }", who, id=period["id"])
    assert again["node"]["id"] == period["id"]


async def test_a_business_sees_its_part(api: Api, today: str) -> None:
    period = (await api.data(PERIOD, DINER, code=today))["settlementPeriod"]
    assert _nets(period) == {"diner": "4.00"}
    assert [p["creditor"]["code"] for p in period["bilateral"]] == ["diner"]
    lines = period["obligations"]["nodes"]
    assert [(n["issuer"]["code"], n["acceptor"]["code"]) for n in lines] == [("shop", "diner")]
    asked = """query ($code: String!) { settlementPeriod(code: $code) {
      obligations(business: "hotel") { nodes { points } } } }"""
    assert await api.code(asked, DINER, code=today) == "forbidden"
    filtered = await api.data(asked, FINANCE, code=today)
    points = sorted(n["points"] for n in filtered["settlementPeriod"]["obligations"]["nodes"])
    assert points == [100, 125]


async def test_lines_page_forward(api: Api, today: str) -> None:
    query = """query ($code: String!, $after: String) { settlementPeriod(code: $code) {
      obligations(first: 1, after: $after) {
        nodes { points } pageInfo { hasNextPage endCursor } } } }"""
    points: list[int] = []
    more, after = True, None
    while more:
        period = (await api.data(query, FINANCE, code=today, after=after))["settlementPeriod"]
        page = period["obligations"]
        points += [node["points"] for node in page["nodes"]]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    assert sorted(points) == [100, 125, 500]
    assert await api.code(query, FINANCE, code=today, after="WzEsMiwzXQ") == "malformed"


async def test_a_statement_is_what_its_hash_says_and_its_business_alone_gets_it(
    api: Api, today: str
) -> None:
    for who in (FINANCE, SHOP):
        got = await api.data(STATEMENT, who, code=today, business="shop")
        statement = got["settlementPeriod"]["statement"]
        assert hashlib.sha256(statement["body"].encode()).hexdigest() == statement["sha256"]
        assert json.loads(statement["body"])["nets"] == [{"amount": "-4.20", "currency": "CNY"}]
        assert statement["links"]["csv"] == f"/statements/{today}/shop.csv"
    assert await api.code(STATEMENT, HOTEL, code=today, business="shop") == "forbidden"
    assert await api.code(STATEMENT, FINANCE, code=today, business="nobody") == "not_found"


async def test_periods_are_listed_newest_first_and_open_ones_have_no_figures(api: Api) -> None:
    codes = [f"2026-{month:02}" for month in range(1, 8)]
    async with api.engine.begin() as db:
        for code in codes:
            await open_period(db, code=code, now=now())
    listed: list[str] = []
    more, after = True, None
    while more:
        page = (await api.data(MONTHS, FINANCE, first=3, after=after))["settlementPeriods"]
        listed += [node["code"] for node in page["nodes"]]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    assert listed == codes[::-1]
    period = (await api.data(PERIOD, FINANCE, code="2026-03"))["settlementPeriod"]
    assert period["state"] == "open"
    assert period["netPositions"] == period["obligations"]["nodes"] == []
    statement = await api.data(STATEMENT, FINANCE, code="2026-03", business="shop")
    assert statement == {"settlementPeriod": {"statement": None}}
    assert await api.data(PERIOD, FINANCE, code="1999-01") == {"settlementPeriod": None}
