"""Ladders on the card, and tiers given by hand, as callers see them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.benefits.configure import configure
from hub.benefits.tiers.promote import promote
from hub.benefits.tiers.requalify import requalify
from hub.clock import now
from tests.integration.api_kit import HOTEL, SHOP, STAFF, START, ZONE, Api, Person
from tests.integration.test_graphql_card import gid
from tests.integration.test_tiers_periods import ladder, rung

PLACES = """query ($id: ID!) { member(id: $id) { tiers {
  ladder business { code } tier nameZh reason validUntil
  next { code need by met asks { kind asked done missing } }
  keep { code by asks { kind missing } } } } }"""
HISTORY = """query ($id: ID!, $after: String) { member(id: $id) {
  tierHistory(first: 1, after: $after) { nodes { tier reason until } pageInfo { endCursor } } } }"""
GRANT = """mutation ($input: GrantTierInput!) { grantTier(input: $input) { __typename
  ... on TierAwarded { award { number tier givenBy } member { tier { code } } }
  ... on InvalidInput { field } ... on IdempotencyConflict { field } } }"""
MATCH = """mutation ($input: MatchTierInput!) { matchTier(input: $input) { __typename
  ... on TierAwarded { award { partner evidence trialUntil challenge { kind asked } }
    member { tier { code } } }
  ... on InvalidInput { field } } }"""
REVOKE = """mutation ($input: RevokeTierInput!) { revokeTier(input: $input) { __typename
  ... on TierAwarded { award { revokedBy revokedBecause } member { tier { code } } }
  ... on InvalidInput { field } } }"""


@pytest.fixture
async def li(api: Api) -> Person:
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


async def test_every_way_up_and_what_keeps_a_tier_are_told_with_units(api: Api, li: Person) -> None:
    async with api.engine.begin() as db:
        await configure(
            db,
            ladders=[ladder(code="club", business="hotel", currency="CNY", effective_from=START)],
            tiers=[rung("guest", 1, ladder="club", effective_from=START),
                   rung("resident", 2, ladder="club", effective_from=START, need="any",
                        reach={"spend_minor": 500_00, "visits": 3})],
            benefits=[],
        )  # fmt: skip
        await db.execute(
            text("""
              INSERT INTO qualifying_activity (account_id, occurred_at, spend_minor, paid_minor,
                business_date, business_id, bills, nights, referrals, currency, sale, key)
              VALUES (:a, now(), 18000, 18000, (now() AT TIME ZONE 'Asia/Shanghai')::date, :h, 1, 0,
                0, 'CNY', 's', 's')"""),
            {"a": li.account_id, "h": api.ids["hotel"]},
        )
    await api.buy(li, "shop", 1200)
    year = (now() + timedelta(hours=8)).year
    group, club = (await api.data(PLACES, li.principal, id=gid("Member", li.member_id)))["member"][
        "tiers"
    ]
    assert (group["ladder"], group["tier"], group["validUntil"]) == (
        "group", "silver", f"{year + 1}-12-31")  # fmt: skip
    assert group["next"]["asks"] == [
        {"kind": "POINTS", "asked": 5000, "done": 1200, "missing": 3800}
    ]
    assert group["keep"] == {
        "code": "silver",
        "by": f"{year + 1}-12-31",
        "asks": [{"kind": "POINTS", "missing": 1000}],
    }
    assert (club["business"], club["tier"], club["keep"]) == ({"code": "hotel"}, "guest", None)
    assert club["next"] == {
        "code": "resident",
        "need": "ANY",
        "by": f"{year}-12-31",
        "met": False,
        "asks": [
            {"kind": "SPEND", "asked": 50000, "done": 18000, "missing": 32000},
            {"kind": "VISITS", "asked": 3, "done": 1, "missing": 2},
        ],
    }
    at_shop = (await api.data(PLACES, SHOP, id=gid("Member", li.member_id)))["member"]["tiers"]
    assert [place["ladder"] for place in at_shop] == ["group"]


async def given(api: Api, query: str, input_: dict[str, Any], who: Any = STAFF) -> Any:
    (answer,) = (await api.data(query, who, input=input_)).values()
    return answer


async def test_a_tier_given_by_hand_is_held_until_it_is_revoked(api: Api, li: Person) -> None:
    await api.buy(li, "shop", 1200)
    until = (now() + timedelta(days=90)).date().isoformat()
    asked = {"member": {"id": gid("Member", li.member_id)}, "tier": "gold", "validUntil": until,
             "reason": "a wedding", "idempotencyKey": "k1"}  # fmt: skip
    first = await given(api, GRANT, asked)
    assert first["member"] == {"tier": {"code": "gold"}}
    assert await given(api, GRANT, asked) == first
    for changed, field in ({"reason": "x"}, "reason"), ({"tier": "silver"}, "tier"):
        assert await given(api, GRANT, asked | changed) == {
            "__typename": "IdempotencyConflict", "field": field}  # fmt: skip
    for changed, field in (
        ({"tier": "platinum"}, "tier"),
        ({"validUntil": "2020-01-01"}, "validUntil"),
        ({"reason": " "}, "reason"),
    ):
        answer = await given(api, GRANT, asked | changed | {"idempotencyKey": "k2"})
        assert answer == {"__typename": "InvalidInput", "field": field}
    for who in (SHOP, HOTEL, li.principal):
        assert (await given(api, GRANT, asked, who))["__typename"] == "Forbidden"
    revoked = {"award": first["award"]["number"], "reason": "called off"}
    for reason in ("called off", "again"):
        ended = await given(api, REVOKE, revoked | {"reason": reason})
        assert ended["member"] == {"tier": {"code": "silver"}}
        assert ended["award"] == {"revokedBy": "ann", "revokedBecause": "called off"}
    assert (await given(api, REVOKE, revoked | {"award": "999"}))["__typename"] == (
        "TierAwardUnknown"
    )
    assert (await given(api, REVOKE, revoked | {"award": "x"}))["field"] == "award"
    seen, after = [], None
    while True:
        page = (await api.data(HISTORY, SHOP, id=gid("Member", li.member_id), after=after))[
            "member"
        ]["tierHistory"]
        if not page["nodes"]:
            break
        seen += [(n["tier"], n["reason"], n["until"] is None) for n in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == [
        ("silver", "ENDED", True),
        ("gold", "GRANTED", False),
        ("silver", "REACHED", False),
    ]


@pytest.mark.parametrize("met", [True, False])
async def test_a_match_on_trial_lasts_when_its_challenge_is_met(
    api: Api, li: Person, met: bool
) -> None:
    trial = now() + timedelta(days=30)
    asked = {"member": {"id": gid("Member", li.member_id)}, "tier": "gold", "partner": "Blue Air",
             "evidence": "gold card seen at the desk", "reason": "match 2026",
             "validUntil": (now() + timedelta(days=500)).date().isoformat(),
             "trialUntil": trial.date().isoformat(), "challenge": {"points": 300},
             "idempotencyKey": "m1"}  # fmt: skip
    for changed, field in (
        ({"challenge": None}, "challenge"),
        ({"challenge": {}}, "challenge"),
        ({"trialUntil": asked["validUntil"]}, "trialUntil"),
        ({"evidence": " "}, "evidence"),
    ):
        answer = await given(api, MATCH, asked | changed)
        assert answer == {"__typename": "InvalidInput", "field": field}
    matched = await given(api, MATCH, asked)
    assert matched["award"]["challenge"] == [{"kind": "POINTS", "asked": 300}]
    assert matched["member"] == {"tier": {"code": "gold"}}
    await api.buy(li, "hotel", 300 if met else 299)
    after = trial + timedelta(days=2)
    async with api.engine.begin() as db:
        moved = await requalify(db, now=after, time_zone=ZONE)
        assert moved is not None
        assert await promote(db, member_ids=[li.member_id], now=after, time_zone=ZONE) == []
        held = await db.scalar(
            text("SELECT code FROM member_tier JOIN tier USING (tier_id) WHERE until IS NULL")
        )
    assert held == ("gold" if met else "iron")
