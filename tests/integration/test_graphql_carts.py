"""Carts through the API: quoted to whom they concern, and used by tills alone."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from hub.benefits.configure import configure
from hub.benefits.definitions import BenefitConfig
from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.vouchers.assign_voucher import assign_voucher
from hub.benefits.vouchers.configure import configure_campaigns
from hub.clock import now
from hub.crypto.tokens import Principal, Scope
from hub.programme.apply_policies import apply_policies
from hub.programme.policy_config import AcceptanceRuleConfig, PoliciesConfig, TillPolicyConfig
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, START, Api, Person
from tests.integration.test_graphql_card import gid
from tests.integration.test_graphql_scopes import limited
from tests.support.vouchers import campaign

PHONE = {"phone": "+8613910203040"}
SKIPPED = "source reason message id said"
QUOTE = f"""__typename currency listMinor discountMinor points pointsMinor payableMinor exact
  lines {{ id listMinor discountMinor pointsMinor points payableMinor }}
  offers {{ source id said name discountMinor cappedMinor byLine {{ line discountMinor }} }}
  skipped {{ {SKIPPED} }}"""
NO = f"""... on Rejection {{ message }} ... on CartDeclined {{ about {{ {SKIPPED} }} }}"""
TYPED = f"__typename {NO} ... on InvalidInput {{ field }} ... on IdempotencyConflict {{ field }}"
BASKET = f"{TYPED} ... on CartBasket {{ state expiresAt transaction quote {{ {QUOTE} }} }}"
BACK = f"""{TYPED}
  ... on CartRefunded {{ payableMinor discountMinor points pointsMinor leftMinor }}"""
ASK = f"""query ($cart: CartInput!, $member: MemberKey, $business: String) {{
  quote(cart: $cart, member: $member, business: $business) {{
    __typename ... on CartQuote {{ {QUOTE} }} {NO} }} }}"""
CART: dict[str, Any] = {
    "lines": [
        {"id": "dinner", "unitPriceMinor": 3_333, "quantity": 3, "category": "food"},
        {"id": "cake", "unitPriceMinor": 2_000, "category": "dessert"},
    ],
    "points": 2_000,
}


async def act(api: Api, verb: str, who: Principal | None, **given: Any) -> dict[str, Any]:
    kind = f"{verb[0].upper()}{verb[1:]}Input"
    answer = BACK if verb == "refundCart" else BASKET
    query = f"mutation ($input: {kind}!) {{ {verb}(input: $input) {{ {answer} }} }}"
    found: dict[str, Any] = (await api.data(query, who, input=given))[verb]
    return found


async def quoted(api: Api, who: Principal, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.data(ASK, who, **{"cart": CART, **given}))["quote"]
    return found


async def guest(api: Api) -> Person:
    """A person known at the diner, with ¥10 off, a dessert and 5 000 points."""
    dessert = BenefitConfig(
        code="dessert", effective_from=START, name="Dessert", name_zh="甜品", kind="free_item",
        funder="hotel", price_minor=1500, currency="CNY", offered_at=["diner"],
        parameters={"category": "dessert"},
    )  # fmt: skip
    accepts = AcceptanceRuleConfig(
        business="diner", effective_from=START, step_points=100, maximum_share=Decimal(1),
        point_value=Decimal("0.01"),
    )  # fmt: skip
    guard = TillPolicyConfig(business="diner", effective_from=START, bill_share=Decimal("0.75"))
    li = await api.join("diner", "c-1", phone=PHONE["phone"], name="李雷")
    await api.buy(li, "diner", 5_000)
    at = now()
    async with api.engine.begin() as db:
        terms = {"funder": "shop", "businesses": ["diner"], "valid_until": at + timedelta(days=9)}
        await configure_campaigns(db, campaigns=[campaign("ten-off", **terms)])
        await configure(db, tiers=[], benefits=[dessert])
        policies = PoliciesConfig(acceptance_rules=(accepts,), till_policies=(guard,))
        await apply_policies(db, config=policies, business_ids=api.ids)
        await assign_voucher(
            db, campaign_code="ten-off", member_id=li.member_id, source="test", source_id="1",
            now=at, keyring=api.keyring,
        )  # fmt: skip
        await grant_entitlement(
            db, member_id=li.member_id, benefit_code="dessert", quantity=1, source="staff",
            source_id="test", starts_on=at.date() - timedelta(days=1),
            ends_on=at.date() + timedelta(days=9), now=at,
        )  # fmt: skip
    return li


@pytest.fixture
async def li(api: Api) -> Person:
    """That person, for one test."""
    return await guest(api)


async def test_a_quote_says_what_is_used_what_is_capped_and_what_is_not(
    api: Api, li: Person
) -> None:
    quote = await quoted(api, DINER, member=PHONE)
    # The guard keeps three quarters of 119.99, rounded up: 90.00.
    assert quote["exact"]
    assert (quote["listMinor"], quote["discountMinor"]) == (11_999, 2_999)
    assert [
        (o["source"], o["name"], o["discountMinor"], o["cappedMinor"]) for o in quote["offers"]
    ] == [("BENEFIT", "Dessert", 2_000, 0), ("VOUCHER", "Ten-Off", 999, 1)]
    for offer in quote["offers"]:
        assert sum(one["discountMinor"] for one in offer["byLine"]) == offer["discountMinor"]
    for part in ("list", "discount", "points", "payable"):
        total = sum(line[f"{part}Minor"] for line in quote["lines"])
        assert total == quote[f"{part}Minor"]
    named = {**CART, "benefits": ["massage"], "vouchers": []}
    skipped = (await quoted(api, DINER, member=PHONE, cart=named))["skipped"]
    assert [(s["source"], s["id"], s["said"], s["reason"]) for s in skipped] == [
        ("BENEFIT", "massage", 0, "not_entitled")
    ]
    refused = await quoted(
        api, DINER, member=PHONE, cart={**named, "policy": "ALL_OR_NOTHING"}
    )  # fmt: skip
    assert (refused["__typename"], refused["about"]["reason"]) == ("CartDeclined", "not_entitled")


async def test_who_may_ask_is_told_the_same_and_others_nothing(api: Api, li: Person) -> None:
    quote = await quoted(api, DINER, member=PHONE)
    key = {"id": gid("Member", li.member_id)}
    assert await quoted(api, DINER, member=key) == quote
    assert await quoted(api, STAFF, member=key, business="diner") == quote
    assert await quoted(api, li.principal, business="diner") == quote
    plain = await quoted(api, DINER)
    assert (plain["payableMinor"], plain["offers"]) == (11_999, [])
    # Whom the hotel was not shown it does not know; whom it is shown has nothing that is for it.
    assert (await quoted(api, HOTEL, member=key))["__typename"] == "MemberUnknown"
    assert (await quoted(api, HOTEL, member=PHONE))["discountMinor"] == 0
    han = await api.join("hotel", "g-1", phone="+8613810203040", name="韩梅梅")
    assert (await quoted(api, han.principal, business="diner"))["payableMinor"] == 11_999
    for who, given, code in (
        (HOTEL, {"business": "diner"}, "forbidden"),
        (FINANCE, {"business": "diner"}, "forbidden"),
        (limited(DINER, Scope.BENEFITS_USE), {}, "forbidden"),
        (li.principal, {}, "malformed"),
        (li.principal, {"business": "diner", "member": PHONE}, "malformed"),
        (STAFF, {"business": "nowhere"}, "not_found"),
    ):
        assert await api.code(ASK, who, cart=CART, **given) == code
    wrong = {"lines": [{"id": "a", "unitPriceMinor": -1}]}
    answer = await api.ask(ASK, DINER, cart=wrong)
    assert answer["errors"][0]["extensions"]["field"] == "cart.lines[0].unitPriceMinor"


async def test_a_basket_from_reservation_to_refund(api: Api, li: Person) -> None:
    asked = {"cart": CART, "member": PHONE, "idempotencyKey": "k", "payableMinor": 7_000}
    held = await act(api, "reserveCart", DINER, **asked)
    assert (held["state"], held["quote"]["payableMinor"]) == ("RESERVED", 7_000)
    assert held["expiresAt"] is not None
    assert await act(api, "reserveCart", DINER, **asked) == held
    other = await act(api, "reserveCart", DINER, **{**asked, "cart": {**CART, "points": 0}})
    assert (other["__typename"], other["field"]) == ("IdempotencyConflict", "cart.points")
    # The other till finds nothing to use, nor does the same key of another business.
    empty = await act(api, "reserveCart", DINER, **{**asked, "idempotencyKey": "k2"})
    assert empty["about"]["reason"] == "price_changed"
    unknown = await act(api, "redeemCart", SHOP, idempotencyKey="k")
    assert (unknown["__typename"], unknown["about"]["reason"]) == ("CartDeclined", "unknown_basket")
    used = await act(api, "redeemCart", DINER, idempotencyKey="k")
    assert (used["state"], used["quote"]) == ("REDEEMED", held["quote"])
    assert used["transaction"] is not None
    assert await act(api, "redeemCart", DINER, idempotencyKey="k") == used
    late = await act(api, "releaseCart", DINER, idempotencyKey="k")
    assert (late["__typename"], late["about"]["reason"]) == ("CartDeclined", "redeemed")
    cake = {"basket": "k", "idempotencyKey": "r1", "lines": [{"id": "cake", "quantity": 1}]}
    part = await act(api, "refundCart", DINER, **cake)
    assert (part["discountMinor"], part["payableMinor"]) == (2_000, 0)
    assert await act(api, "refundCart", DINER, **cake) == part
    differs = await act(api, "refundCart", DINER, **{**cake, "basket": "k2"})
    assert (differs["__typename"], differs["field"]) == ("IdempotencyConflict", "idempotencyKey")
    rest = await act(api, "refundCart", DINER, basket="k", idempotencyKey="r2")
    assert (rest["payableMinor"], rest["points"], rest["leftMinor"]) == (7_000, 2_000, 0)
    over = await act(api, "refundCart", DINER, basket="k", idempotencyKey="r3")
    assert over["about"]["reason"] == "too_many"
    # All of it is free again, and can be used at once.
    again = {**asked, "idempotencyKey": "k3"}
    assert (await act(api, "redeemCart", DINER, **again))["state"] == "REDEEMED"


async def test_what_no_till_may_or_means_is_a_typed_answer(api: Api, li: Person) -> None:
    asked: dict[str, Any] = {"cart": CART, "member": PHONE, "idempotencyKey": "k"}
    for who in (STAFF, FINANCE, li.principal, limited(DINER, Scope.BENEFITS_USE)):
        assert (await act(api, "reserveCart", who, **asked))["__typename"] == "Forbidden"
    nobody = {"phone": "+8613900000000"}
    for verb in ("reserveCart", "redeemCart"):
        unknown = await act(api, verb, DINER, **{**asked, "member": nobody})
        assert unknown["__typename"] == "MemberUnknown"
    line = CART["lines"][0]
    for wrong, field in (
        ({"ttlSeconds": 0}, "ttlSeconds"),
        ({"idempotencyKey": ""}, "idempotencyKey"),
        ({"idempotencyKey": "k" * 181}, "idempotencyKey"),
        ({"cart": {"lines": []}}, "cart.lines"),
        ({"cart": {"lines": [{**line, "quantity": 0}]}}, "cart.lines[0].quantity"),
        ({"cart": {"lines": [{**line, "item": "a\0"}]}}, "cart.lines[0].item"),
        ({"cart": {**CART, "currency": "EUR"}}, "cart.currency"),
        ({"cart": {**CART, "vouchers": ["a", "a"]}}, "cart.vouchers[1]"),
        ({"cart": {**CART, "vouchers": ["nonsense"]}}, "cart.vouchers[0]"),
    ):
        no = await act(api, "reserveCart", DINER, **{**asked, **wrong})
        assert (no["__typename"], no.get("field")) == ("InvalidInput", field), no
    for lines in ([], [{"id": "cake", "quantity": 0}], [{"id": "a", "quantity": 1}] * 2):
        no = await act(api, "refundCart", DINER, basket="k", idempotencyKey="r", lines=lines)
        assert (no["__typename"], no["field"]) == ("InvalidInput", "lines")
    said = await act(api, "redeemCart", DINER, idempotencyKey="k", member=PHONE)
    assert (said["__typename"], said["field"]) == ("InvalidInput", "member")
    # A late reservation finds its basket given up.
    assert (await act(api, "releaseCart", DINER, idempotencyKey="k"))["state"] == "RELEASED"
    assert (await act(api, "reserveCart", DINER, **asked))["about"]["reason"] == "released"
