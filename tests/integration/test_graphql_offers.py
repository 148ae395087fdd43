"""What is offered and what a member had of it: filters hold, and say what they cannot be."""

from typing import Any

import pytest
from sqlalchemy import text

from hub.crypto.tokens import Principal, Role
from tests.integration.api_kit import DINER, HOTEL, SHOP, STAFF, Api
from tests.integration.test_graphql_card import gid
from tests.integration.test_graphql_work_lists import Listed, at, coded, since
from tests.support.many import fill

MANY = 60
CARD = f'member(id: "{gid("Member", 1)}")'
MIDDLE = "2026-01-02T06:00:00Z"


def priced(row: dict[str, Any]) -> bool:
    return bool(row["priceMinor"])


LISTS = [
    Listed(
        "rewards",
        STAFF,
        "code business { code } category tier points priceMinor",
        ('business: "shop"', lambda row: coded(row, "business", "shop")),
        ('category: "stay"', lambda row: row["category"] == "stay"),
        ('tier: "gold"', lambda row: row["tier"] == "gold"),
        ("leastPoints: 102, mostPoints: 103", lambda row: 102 <= row["points"] <= 103),
        ("pointsAlone: true", lambda row: not priced(row)),
        ("pointsAlone: false", priced),
    ),
    Listed(
        "voucherCampaigns",
        STAFF,
        "code kind currency benefit businesses { code } funder { code } validFrom validUntil",
        ('business: "diner"', lambda row: {"code": "diner"} in row["businesses"]),
        ('funder: "shop"', lambda row: coded(row, "funder", "shop")),
        ('currency: "USD"', lambda row: row["currency"] == "USD"),
        ("kinds: [GIFT]", lambda row: row["kind"] == "GIFT"),
        ('benefit: "room-upgrade"', lambda row: row["benefit"] == "room-upgrade"),
        (
            f'kinds: [CASH, GIFT], validAt: "{MIDDLE}"',
            lambda row: (
                row["kind"] in ("CASH", "GIFT")
                and at(row["validFrom"]) <= at(MIDDLE) < at(row["validUntil"])
            ),
        ),
    ),
    Listed(
        "rewardOrders",
        STAFF,
        "business { code } state orderedAt reward { code }",
        ('business: "shop"', lambda row: coded(row, "business", "shop")),
        ('reward: "r-2"', lambda row: coded(row, "reward", "r-2")),
        ("states: [FULFILLED, RETURNED]", lambda row: row["state"] == "FULFILLED"),
        *since("orderedAt", "ordered"),
        within=CARD,
    ),
    Listed(
        "referrals",
        STAFF,
        "state saidAt givenAt",
        ("states: [WAITING]", lambda row: row["state"] == "WAITING"),
        ("states: [OVER_LIMIT]", lambda row: row["state"] == "OVER_LIMIT"),
        ("given: true", lambda row: row["givenAt"] is not None),
        ("given: false", lambda row: row["givenAt"] is None),
        *since("saidAt", "said"),
        within=CARD,
    ),
    Listed(
        "tierHistory",
        STAFF,
        "ladder tier reason since until undone",
        ('tier: "gold", ladder: "group"', lambda row: row["tier"] == "gold"),
        ("reasons: [MATCHED, KEPT]", lambda row: row["reason"] == "MATCHED"),
        ("undone: true", lambda row: row["undone"]),
        ("undone: false", lambda row: not row["undone"]),
        ('sinceFrom: "2020-01-20T00:00:00Z"', lambda row: row["since"] >= "2020-01-20"),
        ('sinceBefore: "2020-01-20T00:00:00Z"', lambda row: row["since"] < "2020-01-20"),
        ('heldAt: "2020-01-20T12:00:00Z"', lambda row: row["since"][:10] == "2020-01-20"),
        within=CARD,
    ),
]


@pytest.fixture
async def filled(api: Api) -> Api:
    async with api.engine.begin() as db:
        await fill(db, MANY)
    return api


async def test_filters_hold(filled: Api) -> None:
    for one in LISTS:
        whole = await one.ask(filled)
        for said, holds in one.filters:
            found = await one.ask(filled, f"filter: {{ {said} }},")
            assert found == [row for row in whole if holds(row)], (one.field, said)
            assert 0 < len(found) < len(whole), (one.field, said)
    # A business sees of a filtered list what it sees of the whole.
    orders = Listed("rewardOrders", HOTEL, "business { code }", within=CARD)
    assert await orders.ask(filled, 'filter: { business: "shop" },') == []
    own = await orders.ask(filled, "filter: { states: [CONFIRMED] },")
    assert own == await orders.ask(filled, 'filter: { states: [CONFIRMED], business: "hotel" },')
    assert len(own) == len([row for row in own if coded(row, "business", "hotel")]) > 0
    for who, code in ((SHOP, "shop"), (DINER, "diner")):
        campaigns = Listed("voucherCampaigns", who, "funder { code } businesses { code }")
        for row in await campaigns.ask(filled, 'filter: { currency: "CNY" },'):
            assert coded(row, "funder", code) or {"code": code} in row["businesses"]


async def test_what_is_affordable_is_so_for_who_asks(filled: Api) -> None:
    """Rewards cost from 100 to 104 points."""
    async with filled.engine.begin() as db:
        await db.execute(text("UPDATE balance SET posted = 102 WHERE member_id = 2 AND unit = 1"))
    me = Principal(role=Role.MEMBER, subject="member:2", member_id=2)
    listed = Listed("rewards", me, "points")

    async def costs(said: str) -> set[int]:
        return {row["points"] for row in await listed.ask(filled, said)}

    assert await costs("filter: { affordable: true },") == {100, 101, 102}
    assert await costs("affordable: true,") == {100, 101, 102}
    assert await costs("filter: { affordable: false },") == {103, 104}
    assert await costs("affordable: false,") == {100, 101, 102, 103, 104}
    assert await costs("filter: { affordable: null },") == {100, 101, 102, 103, 104}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ('rewards(business: "shop", filter: { business: "shop" })', "malformed"),
        ("rewards(affordable: true, filter: { affordable: true })", "malformed"),
        ("rewards(filter: { affordable: true })", "malformed"),  # staff have no points
        ("rewards(filter: { affordable: false })", "malformed"),
        ('rewards(filter: { category: "\\u0000" })', "malformed"),
        ('rewards(category: "\\u0000")', "malformed"),
        ('rewards(filter: { business: "nowhere" })', "not_found"),
        ('voucherCampaigns(filter: { funder: "nowhere" })', "not_found"),
        ('voucherCampaigns(filter: { validAt: "2026-01-01T00:00:00" })', "malformed"),
    ],
)
async def test_what_cannot_be_is_refused(api: Api, asked: str, code: str) -> None:
    assert await api.code(f"{{ {asked} {{ nodes {{ __typename }} }} }}", STAFF) == code
