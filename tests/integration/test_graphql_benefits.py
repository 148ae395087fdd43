"""Benefits through GraphQL: held, used, cancelled, granted by hand, and explained."""

from typing import Any

import pytest
from sqlalchemy import text

from hub.benefits.memberships.plans import PlanConfig, configure_plans
from hub.crypto.tokens import Principal
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, START, Api, Person
from tests.integration.test_graphql_card import gid

ANSWER = """__typename ... on Rejection { message } ... on InvalidInput { field }
  ... on IdempotencyConflict { field }"""
REFUSED = "... on EntitlementRefused { reason }"
OPERATIONS = {
    "holdBenefit": "HoldBenefitInput! | ... on BenefitHeld { hold remaining member { number } }",
    "useHeld": "EndBenefitHoldInput! | ... on EntitlementUsed { use quantity remaining }",
    "releaseHeld": "EndBenefitHoldInput! | ... on BenefitReleased { quantity }",
    "cancelUse": "CancelUseInput! | ... on UseCancelled { quantity leftToCancel }",
    "useEntitlement": "UseEntitlementInput! | ... on EntitlementUsed { use quantity remaining }",
    "grantEntitlement": "GrantEntitlementInput! | "
    "... on EntitlementGranted { grant { number source reason granted remaining } }",
    "revokeEntitlement": "RevokeEntitlementInput! | "
    "... on EntitlementGranted { grant { ended remaining } }",
}
PHONE = {"phone": "+8613910203040"}
UPGRADE = {"member": PHONE, "benefit": "room-upgrade"}
CARD = """query ($id: ID!) { member(id: $id) {
  entitlements { benefit granted held used ended remaining sources }
  entitlementGrants { source reason remaining } entitlementHolds { benefit remaining }
  entitlementHistory { kind quantity business { code } } } }"""


@pytest.fixture
async def li(api: Api) -> Person:
    """A silver member: two room upgrades a year."""
    li = await api.join("hotel", "g-1", phone=PHONE["phone"], name="李雷")
    await api.buy(li, "hotel", 1000)
    return li


async def act(api: Api, verb: str, who: Principal | None, **given: Any) -> dict[str, Any]:
    input_type, _, picks = OPERATIONS[verb].partition(" | ")
    if verb not in ("grantEntitlement", "revokeEntitlement"):
        picks += REFUSED
    mutation = f"mutation ($input: {input_type}) {{ {verb}(input: $input) {{ {ANSWER} {picks} }} }}"
    answer: dict[str, Any] = (await api.data(mutation, who, input=given))[verb]
    return answer


async def test_a_till_holds_uses_releases_and_cancels(api: Api, li: Person) -> None:
    held = await act(api, "holdBenefit", HOTEL, **UPGRADE, idempotencyKey="h", quantity=2)
    assert (held["__typename"], held["remaining"]) == ("BenefitHeld", 0)
    none = await act(api, "useEntitlement", HOTEL, **UPGRADE, idempotencyKey="u")
    assert none["reason"] == "QUOTA_USED"
    hold = held["hold"]
    used = await act(api, "useHeld", HOTEL, hold=hold, idempotencyKey="c", quantity=1)
    again = await act(api, "useHeld", HOTEL, hold=hold, idempotencyKey="c", quantity=1)
    assert used == again
    assert (used["__typename"], used["quantity"]) == ("EntitlementUsed", 1)
    other = await act(api, "useHeld", HOTEL, hold=used["use"], idempotencyKey="c", quantity=1)
    assert (other["__typename"], other["field"]) == ("IdempotencyConflict", "hold")
    wrong = await act(api, "releaseHeld", HOTEL, hold=hold, idempotencyKey="c")
    assert (wrong["__typename"], wrong["field"]) == ("IdempotencyConflict", "operation")
    elsewhere = await act(api, "releaseHeld", DINER, hold=hold, idempotencyKey="r")
    assert elsewhere["__typename"] == "UseUnknown"
    released = await act(api, "releaseHeld", HOTEL, hold=hold, idempotencyKey="r")
    assert released["quantity"] == 1
    closed = await act(api, "useHeld", HOTEL, hold=hold, idempotencyKey="late")
    assert closed["reason"] == "HOLD_CLOSED"
    gone = await act(api, "cancelUse", HOTEL, use=used["use"], idempotencyKey="x")
    assert (gone["quantity"], gone["leftToCancel"]) == (1, 0)
    more = await act(api, "cancelUse", HOTEL, use=used["use"], idempotencyKey="y")
    assert more["reason"] == "USE_EXCEEDED"
    for given, field in (
        ({"quantity": 0}, "quantity"), ({"ttlSeconds": 0}, "ttlSeconds"),
        ({"benefit": "no-such"}, "benefit"), ({"outlet": "\0"}, "outlet"),
    ):  # fmt: skip
        answer = await act(
            api, "holdBenefit", HOTEL, **{**UPGRADE, "idempotencyKey": "bad", **given}
        )
        assert (answer["__typename"], answer["field"]) == ("InvalidInput", field)
    bad = await act(api, "cancelUse", HOTEL, use="x", idempotencyKey="z")
    assert (bad["__typename"], bad["field"]) == ("InvalidInput", "use")
    for who in (STAFF, li.principal):
        refused = await act(api, "holdBenefit", who, **UPGRADE, idempotencyKey="h2")
        assert refused["__typename"] == "Forbidden"


async def test_staff_grant_and_revoke_and_everybody_sees_why(api: Api, li: Person) -> None:
    gift = {
        **UPGRADE, "quantity": 3, "endsOn": "9999-12-31", "reason": "the lift stood still",
        "idempotencyKey": "letter",
    }  # fmt: skip
    given = await act(api, "grantEntitlement", STAFF, **gift)
    assert given == await act(api, "grantEntitlement", STAFF, **gift)
    assert given["grant"]["reason"] == "the lift stood still"
    differs = await act(api, "grantEntitlement", STAFF, **{**gift, "quantity": 2})
    assert (differs["__typename"], differs["field"]) == ("IdempotencyConflict", "quantity")
    await act(api, "holdBenefit", HOTEL, **UPGRADE, idempotencyKey="h")
    await act(api, "useEntitlement", HOTEL, **UPGRADE, idempotencyKey="u")
    card = (await api.data(CARD, li.principal, id=gid("Member", li.member_id)))["member"]
    assert [(e["sources"], e["held"], e["used"], e["remaining"]) for e in card["entitlements"]] == [
        (["tier"], 1, 1, 0), (["staff"], 0, 0, 3),
    ]  # fmt: skip
    assert [(g["source"], g["reason"]) for g in card["entitlementGrants"]] == [
        ("staff", "the lift stood still"), ("tier", None),
    ]  # fmt: skip
    assert card["entitlementHolds"] == [{"benefit": "room-upgrade", "remaining": 1}]
    moves = [(m["kind"], m["business"]) for m in card["entitlementHistory"]]
    assert moves == [
        ("used", {"code": "hotel"}), ("held", {"code": "hotel"}), ("granted", None),
        ("granted", None),
    ]  # fmt: skip
    number = given["grant"]["number"]
    for _ in range(2):
        ended = await act(api, "revokeEntitlement", STAFF, grant=number, reason="fixed")
        assert ended["grant"] == {"ended": 3, "remaining": 0}
    unknown = await act(api, "revokeEntitlement", STAFF, grant="4711", reason="fixed")
    assert unknown["__typename"] == "GrantUnknown"
    nothing = await act(api, "grantEntitlement", STAFF, **{**gift, "endsOn": "2020-01-01"})
    assert (nothing["__typename"], nothing["field"]) == ("InvalidInput", "endsOn")
    for who in (SHOP, HOTEL, FINANCE, li.principal):
        for verb, said in (("grantEntitlement", gift), ("revokeEntitlement", {
            "grant": number, "reason": "x"})):  # fmt: skip
            assert (await act(api, verb, who, **said))["__typename"] == "Forbidden"


async def test_a_business_sees_what_it_offers_alone(api: Api, li: Person) -> None:
    await api.join("shop", "c-1", phone=PHONE["phone"], name="李雷")
    await act(api, "holdBenefit", HOTEL, **UPGRADE, idempotencyKey="h")
    seen = (await api.data(CARD, HOTEL, id=gid("Member", li.member_id)))["member"]
    assert [len(seen[part]) for part in seen] == [1, 1, 1, 2]
    seen = (await api.data(CARD, SHOP, id=gid("Member", li.member_id)))["member"]
    assert [len(seen[part]) for part in seen] == [0, 0, 0, 0]
    assert await api.code(CARD, FINANCE, id=gid("Member", li.member_id)) == "forbidden"


PLANS = [
    PlanConfig.model_validate({
        "code": code, "effective_from": START, "name": code, "name_zh": "卡", "seller": seller,
        "price_minor": price, "currency": "CNY", "period": "days", "period_days": 31,
        "trial_days": 7, "grants": [{"benefit": "room-upgrade", "quantity": 1}],
        **({"points": 31} if code == "black" else {}),
        **({"sold_at": [{"business": "diner"}]} if code == "gold" else {}),
    })
    for code, price, seller in (("gold", 3100, "hotel"), ("black", 6200, "hotel"),
                                ("club", 100, None))
]  # fmt: skip
KEPT = """{ __typename ... on Rejection { message } ... on InvalidInput { field }
  ... on IdempotencyConflict { field } ... on MembershipRefused { field dueMinor }
  ... on MembershipKept { refundDueMinor creditMinor member { memberships {
    plan state refundDueMinor terms { payment trial refundedMinor
      gifts { points takenPoints voucher taken } } } } } }"""


async def keep(api: Api, verb: str, who: Principal, **given: Any) -> dict[str, Any]:
    kind = verb[0].upper() + verb[1:]
    mutation = f"mutation ($input: {kind}Input!) {{ {verb}(input: $input) {KEPT} }}"
    answer: dict[str, Any] = (await api.data(mutation, who, input=given))[verb]
    return answer


async def test_a_seller_and_staff_keep_plans(api: Api, li: Person) -> None:
    async with api.engine.begin() as db:
        await configure_plans(db, plans=PLANS)
    asked = """{ membershipPlans { code seller { code } grants { benefit } points
      pointsIssuer { code } vouchers { campaign } } }"""
    seen = await api.data(asked, HOTEL)
    assert [(p["code"], p["seller"], p["points"]) for p in seen["membershipPlans"]] == [
        ("gold", {"code": "hotel"}, None), ("black", {"code": "hotel"}, 31), ("club", None, None),
    ]  # fmt: skip
    assert seen["membershipPlans"][1]["pointsIssuer"] == {"code": "hotel"}
    gold = {"member": PHONE, "plan": "gold"}
    paid = {**gold, "amountMinor": 3100, "currency": "CNY", "idempotencyKey": "p"}
    tried = await keep(api, "startTrial", HOTEL, **gold, idempotencyKey="t")
    assert tried["member"]["memberships"][0]["state"] == "trial"
    first = await keep(api, "noteMembershipPayment", HOTEL, **paid)
    assert first == await keep(api, "noteMembershipPayment", HOTEL, **paid)
    [has] = first["member"]["memberships"]
    assert [term["trial"] for term in has["terms"]] == [True, False]
    up = {"member": PHONE, "fromPlan": "gold", "toPlan": "black", "idempotencyKey": "u"}
    asked = await keep(api, "upgradeMembership", STAFF, **up, paidMinor=1)
    assert (asked["field"], asked["dueMinor"]) == ("paidMinor", 3100)
    done = await keep(api, "upgradeMembership", STAFF, **up, paidMinor=3100)
    assert done["creditMinor"] == 3100
    ended = await keep(
        api, "cancelMembership", HOTEL, member=PHONE, plan="black", reason="moved away",
        idempotencyKey="c",
    )  # fmt: skip
    assert ended["refundDueMinor"] == 6000
    [black, _] = ended["member"]["memberships"]
    # A day of 31 was used: one point of 31 stays.
    assert black["terms"][0]["gifts"] == [
        {"points": 31, "takenPoints": 30, "voucher": None, "taken": False}
    ]
    back = await keep(
        api, "noteMembershipRefund", HOTEL, payment=black["terms"][0]["payment"], amountMinor=6000,
        idempotencyKey="r",
    )  # fmt: skip
    [black, _] = back["member"]["memberships"]
    assert (black["refundDueMinor"], black["terms"][0]["refundedMinor"]) == (0, 6000)
    for who, given, what in (
        (HOTEL, {**paid, "plan": "club", "idempotencyKey": "x"}, "Forbidden"),
        (SHOP, {**paid, "idempotencyKey": "x"}, "Forbidden"),
        (FINANCE, paid, "Forbidden"),
        (li.principal, paid, "Forbidden"),
        (STAFF, {**paid, "plan": "no-such"}, "InvalidInput"),
        (STAFF, {**paid, "plan": "\0"}, "InvalidInput"),
        (STAFF, {**paid, "currency": "JPY"}, "InvalidInput"),
        (STAFF, {**paid, "amountMinor": -1, "idempotencyKey": "y"}, "InvalidInput"),
        (STAFF, {**paid, "paidOn": "2999-01-01"}, "InvalidInput"),
        (STAFF, {**paid, "member": {"phone": "+8613910203099"}}, "MemberUnknown"),
        (HOTEL, {**paid, "amountMinor": 5}, "IdempotencyConflict"),
    ):
        answer = await keep(api, "noteMembershipPayment", who, **given)
        assert answer["__typename"] == what, (given, answer)
    again = await keep(api, "startTrial", HOTEL, **gold, idempotencyKey="t2")
    assert again["__typename"] == "MembershipRefused"
    for who, given, what in (
        (DINER, {"takenBy": "shop"}, "Forbidden"),
        (DINER, {}, "MembershipKept"),
        (STAFF, {"takenBy": "nowhere"}, "InvalidInput"),
        (STAFF, {"takenBy": "shop"}, "MembershipKept"),
    ):
        asked_of = {**paid, "idempotencyKey": f"sold-{who.subject}", **given}
        answer = await keep(api, "noteMembershipPayment", who, **asked_of)
        assert answer["__typename"] == what, (given, answer)
    took = "SELECT taken_by FROM membership_fact WHERE kind = 'paid' ORDER BY fact_id DESC LIMIT 2"
    async with api.engine.connect() as db:
        assert list(await db.scalars(text(took))) == [api.ids["shop"], api.ids["diner"]]
    gone = await keep(api, "noteMembershipRefund", HOTEL, payment="4711", amountMinor=1,
                      idempotencyKey="z")  # fmt: skip
    assert (gone["__typename"], gone["field"]) == ("InvalidInput", "payment")
