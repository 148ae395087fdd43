"""Rewards by GraphQL: who may order, hand out and see what, and what each is answered."""

from typing import Any

import pytest

from hub.benefits.rewards.configure import configure_rewards
from hub.crypto.tokens import Principal
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid
from tests.support.rewards import reward

ORDER = "order { id number state points priceMinor deliveryNote steps { state actor } }"
ANSWER = """__typename ... on Rejection { message
    ... on InsufficientPoints { available } ... on RewardRefused { reason }
    ... on RewardOrderElsewhere { state } ... on IdempotencyConflict { field }
    ... on InvalidInput { field } ... on StockExceeded { available } }"""
OPERATIONS = {
    "orderReward": ("OrderRewardInput", "RewardOrdered"),
    "payRewardOrder": ("PayRewardOrderInput", "RewardOrdered"),
    "fulfilRewardOrder": ("FulfilRewardOrderInput", "RewardOrdered"),
    "cancelRewardOrder": ("EndRewardOrderInput", "RewardOrdered"),
    "returnRewardOrder": ("ReturnRewardOrderInput", "RewardOrdered"),
    "stockReward": ("StockRewardInput", "RewardStocked"),
}
SCARF = reward(
    "scarf", "shop", 300, pictures=[{"url": "https://pics.test/scarf.jpg", "alt": {"zh": "方巾"}}]
)
NIGHT = reward("night", "hotel", 200, price_minor=30_000, stock="unlimited")
SUITE = reward("suite", "hotel", 100, stock="unlimited", tier="gold")


async def act(api: Api, verb: str, who: Principal, **given: Any) -> dict[str, Any]:
    input_type, success = OPERATIONS[verb]
    shown = "reward { code available }" if verb == "stockReward" else (
        f"{ORDER} member {{ balance {{ available held }} }}")  # fmt: skip
    document = (
        f"mutation ($input: {input_type}!) {{ {verb}(input: $input) "
        f"{{ {ANSWER} ... on {success} {{ {shown} }} }} }}"
    )
    answer: dict[str, Any] = (await api.data(document, who, input=given))[verb]
    return answer


@pytest.fixture
async def li(api: Api) -> Person:
    """A person with 1,000 points, known at the shop, and a catalogue with two scarves."""
    async with api.engine.begin() as db:
        await configure_rewards(db, rewards=[SCARF, NIGHT, SUITE])
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    await api.buy(li, "shop", 1000)
    done = await act(api, "stockReward", SHOP, reward="scarf", quantity=2, idempotencyKey="s")
    assert done == {"__typename": "RewardStocked", "reward": {"code": "scarf", "available": 2}}
    return li


async def test_a_member_orders_is_handed_it_and_gives_it_back(api: Api, li: Person) -> None:
    first = await act(api, "orderReward", li.principal, reward="scarf", idempotencyKey="k")
    assert first["__typename"] == "RewardOrdered"
    assert first["member"]["balance"] == {"available": 700, "held": 0}
    assert await act(api, "orderReward", li.principal, reward="scarf", idempotencyKey="k") == first
    id_ = first["order"]["id"]
    for who in (HOTEL, DINER):
        no = await act(api, "fulfilRewardOrder", who, order=id_)
        assert no["__typename"] == "RewardOrderUnknown"
    no = await act(api, "fulfilRewardOrder", li.principal, order=id_)
    assert no["__typename"] == "Forbidden"
    sent = await act(api, "fulfilRewardOrder", SHOP, order=id_, deliveryNote="SF-1")
    assert (sent["order"]["state"], sent["order"]["deliveryNote"]) == ("FULFILLED", "SF-1")
    late = await act(api, "cancelRewardOrder", li.principal, order=id_)
    assert (late["__typename"], late["state"]) == ("RewardOrderElsewhere", "FULFILLED")
    back = await act(api, "returnRewardOrder", SHOP, order=id_)
    assert [one["state"] for one in back["order"]["steps"]] == [
        "CONFIRMED", "FULFILLED", "RETURNED"]  # fmt: skip
    assert [one["actor"] for one in back["order"]["steps"]] == [
        li.principal.subject, SHOP.subject, SHOP.subject]  # fmt: skip
    assert back["member"]["balance"] == {"available": 1000, "held": 0}


async def test_money_and_points_together(api: Api, li: Person) -> None:
    waits = await act(api, "orderReward", li.principal, reward="night", idempotencyKey="k")
    assert waits["order"]["state"] == "AWAITING_PAYMENT"
    assert waits["member"]["balance"] == {"available": 800, "held": 200}
    paid = {"order": waits["order"]["id"], "paymentReference": "card-77"}
    assert (await act(api, "payRewardOrder", SHOP, **paid))["__typename"] == "RewardOrderUnknown"
    done = await act(api, "payRewardOrder", HOTEL, **paid)
    assert done["order"]["state"] == "CONFIRMED"
    assert await act(api, "payRewardOrder", HOTEL, **paid) == done
    other = await act(api, "payRewardOrder", HOTEL, **{**paid, "paymentReference": "card-78"})
    assert (other["__typename"], other["state"]) == ("RewardOrderElsewhere", "CONFIRMED")


async def test_declines_say_why(api: Api, li: Person) -> None:
    for given, says in (
        ({"reward": "suite"}, ("RewardRefused", "TIER_REQUIRED")),
        ({"reward": "no-such"}, ("InvalidInput", "reward")),
    ):
        no = await act(api, "orderReward", li.principal, idempotencyKey=given["reward"], **given)
        assert (no["__typename"], no.get("reason", no.get("field"))) == says
    han = await api.join("shop", "c-2", phone="+8613910203041")
    poor = await act(api, "orderReward", han.principal, reward="scarf", idempotencyKey="k")
    assert (poor["__typename"], poor["available"]) == ("InsufficientPoints", 0)
    gone = await act(api, "stockReward", SHOP, reward="scarf", quantity=-3, idempotencyKey="t")
    assert (gone["__typename"], gone["available"]) == ("StockExceeded", 2)


async def test_who_may_order_for_whom(api: Api, li: Person) -> None:
    phone = {"phone": "+8613910203040"}
    served = await act(
        api, "orderReward", SHOP, reward="scarf", member=phone, idempotencyKey="till-1"
    )
    assert served["__typename"] == "RewardOrdered"
    # A key of a till is another than the member's own.
    own = await act(api, "orderReward", li.principal, reward="scarf", idempotencyKey="till-1")
    assert own["order"]["number"] != served["order"]["number"]
    others = await act(api, "orderReward", HOTEL, reward="scarf", member=phone, idempotencyKey="x")
    assert others["__typename"] == "Forbidden"
    han = await api.join("shop", "c-2", phone="+8613910203041")
    stranger = await act(
        api, "orderReward", han.principal, reward="scarf", member=phone, idempotencyKey="x"
    )
    assert stranger["__typename"] == "MemberUnknown"
    no = await act(api, "stockReward", HOTEL, reward="scarf", quantity=1, idempotencyKey="x")
    assert no["__typename"] == "Forbidden"
    for who in (FINANCE,):
        no = await act(api, "orderReward", who, reward="scarf", member=phone, idempotencyKey="y")
        assert no["__typename"] == "Forbidden"
    # Orders are seen by the member, by who offers what was ordered, and by staff.
    await act(api, "orderReward", li.principal, reward="night", idempotencyKey="n")
    query = """query ($id: ID!) { member(id: $id) { rewardOrders(first: 5) {
      nodes { reward { code } business { code } } } } }"""
    seen = {}
    for name, who in (("li", li.principal), ("shop", SHOP), ("staff", STAFF)):
        member = (await api.data(query, who, id=gid("Member", li.member_id)))["member"]
        seen[name] = [one["reward"]["code"] for one in member["rewardOrders"]["nodes"]]
    assert seen == {
        "li": ["night", "scarf", "scarf"],
        "shop": ["scarf", "scarf"],
        "staff": ["night", "scarf", "scarf"],
    }
    node = "query ($id: ID!) { node(id: $id) { ... on RewardOrder { number } } }"
    id_ = own["order"]["id"]
    for who, may in ((li.principal, True), (SHOP, True), (STAFF, True), (HOTEL, False),
                     (han.principal, False)):  # fmt: skip
        assert ((await api.data(node, who, id=id_))["node"] is not None) is may


async def test_the_catalogue_speaks_the_readers_language(api: Api, li: Person) -> None:
    query = """query ($l: String!, $affordable: Boolean!) { rewards(affordable: $affordable) {
      nodes { code title(language: $l) pictures(language: $l) { url alt } available
        business { code } } } }"""
    asked = {"affordable": True}
    rows = (await api.data(query, li.principal, l="zh-Hans", **asked))["rewards"]["nodes"]
    assert [one["code"] for one in rows] == ["suite", "night", "scarf"]
    assert [one["title"] for one in rows] == ["礼品"] * 3
    assert rows[2]["pictures"] == [{"url": "https://pics.test/scarf.jpg", "alt": "方巾"}]
    assert (rows[2]["available"], rows[1]["available"]) == (2, None)
    assert (await api.data(query, STAFF, l="fr", affordable=True))["rewards"]["nodes"][0][
        "title"] == "Suite"  # fmt: skip
    await act(api, "orderReward", li.principal, reward="scarf", idempotencyKey="1")
    await act(api, "orderReward", li.principal, reward="scarf", idempotencyKey="2")
    rows = (await api.data(query, li.principal, l="en", **asked))["rewards"]["nodes"]
    assert [one["code"] for one in rows] == ["suite", "night"]
    page = """query ($a: String) { rewards(first: 1, after: $a) { nodes { code }
      pageInfo { hasNextPage endCursor } } }"""
    first = (await api.data(page, li.principal))["rewards"]
    second = (await api.data(page, li.principal, a=first["pageInfo"]["endCursor"]))["rewards"]
    assert [first["nodes"][0]["code"], second["nodes"][0]["code"]] == ["suite", "night"]
