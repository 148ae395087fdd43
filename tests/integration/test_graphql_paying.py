"""What a till may take in points, and what it gives back."""

from typing import Any

import pytest
from sqlalchemy import text

from hub.ledger.verify import verify
from tests.integration.api_kit import DINER, SHOP, Api, Person
from tests.integration.test_graphql_card import gid

REJECTED = """__typename ... on Rejection { message
  ... on PointsNotAccepted { nearestPoints } ... on RedemptionExceeded { remaining }
  ... on IdempotencyConflict { field } ... on InvalidInput { field } }"""
OPERATIONS = {
    "redeem": f"""mutation ($input: RedeemInput!) {{ redeem(input: $input) {{ {REJECTED}
      ... on Redeemed {{ transaction points }} }} }}""",
    "hold": f"""mutation ($input: HoldInput!) {{ hold(input: $input) {{ {REJECTED}
      ... on Held {{ hold {{ points }} }} }} }}""",
    "restore": f"""mutation ($input: RestoreInput!) {{ restore(input: $input) {{ {REJECTED}
      ... on Restored {{ transaction points
        member {{ balance {{ available posted pending owed }} }} }} }} }}""",
}


@pytest.fixture
async def li(api: Api) -> Person:
    """A person with 1,000 points; the shop takes hundreds, up to half of a bill."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    await api.buy(li, "shop", 1000)
    async with api.engine.begin() as db:
        await db.execute(
            text("""
              INSERT INTO acceptance_rule (business_id, effective_from, minimum_points, step_points,
                maximum_share, point_value)
              VALUES (:shop, '2020-01-01Z', 100, 100, 0.5, 0.01)"""),
            {"shop": api.ids["shop"]},
        )
    return li


async def act(api: Api, verb: str, who: Any, person: Person, **given: Any) -> dict[str, Any]:
    asked = {"member": {"id": gid("Member", person.member_id)}, "idempotencyKey": verb, **given}
    answer: dict[str, Any] = (await api.data(OPERATIONS[verb], who, input=asked))[verb]
    answer.pop("message", None)
    return answer


@pytest.mark.parametrize("verb", ["redeem", "hold"])
async def test_a_business_takes_points_by_its_rule(api: Api, li: Person, verb: str) -> None:
    no = await act(api, verb, SHOP, li, points=500, billMinor=900)
    assert no == {"__typename": "PointsNotAccepted", "nearestPoints": 400}
    no = await act(api, verb, SHOP, li, points=500)
    assert no == {"__typename": "InvalidInput", "field": "billMinor"}
    for bill in (-1, 10**15 + 1):
        no = await act(api, verb, SHOP, li, points=500, billMinor=bill)
        assert no == {"__typename": "InvalidInput", "field": "billMinor"}
    done = await act(api, verb, SHOP, li, points=500, billMinor=1000)
    assert done["__typename"] in {"Redeemed", "Held"}


async def test_a_refund_gives_points_back_in_parts(api: Api, li: Person) -> None:
    phone = {"phone": "+8613910203040"}
    spent = await act(api, "redeem", DINER, li, member=phone, points=300)
    asked = {"member": phone, "transaction": spent["transaction"], "points": 200}
    back = await act(api, "restore", DINER, li, **asked)
    assert back["points"] == 200
    assert back["member"]["balance"] == {"available": 900, "posted": 900, "pending": 0, "owed": 0}
    assert await act(api, "restore", DINER, li, **asked) == back
    over = await act(api, "restore", DINER, li, **{**asked, "points": 101}, idempotencyKey="b")
    assert over == {"__typename": "RedemptionExceeded", "remaining": 100}
    other = await act(api, "restore", SHOP, li, **asked)
    assert other == {"__typename": "RedemptionUnknown"}
    for transaction in ("", "-1", "x", "9" * 30):
        bad = await act(api, "restore", DINER, li, **{**asked, "transaction": transaction})
        assert bad == {"__typename": "InvalidInput", "field": "transaction"}
    clash = await act(api, "restore", DINER, li, **{**asked, "transaction": "1"})
    assert clash == {"__typename": "IdempotencyConflict", "field": "transaction"}
    forbidden = await act(api, "restore", DINER, li, **asked, business="shop")
    assert forbidden == {"__typename": "Forbidden"}
    async with api.engine.connect() as db:
        assert await verify(db) == []
