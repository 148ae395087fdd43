"""Vouchers through the API: at a till, in a member's hands, and who is told what."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from hub.benefits.vouchers.batches import batch_named
from hub.benefits.vouchers.codes_of_batch import codes_of_batch
from hub.benefits.vouchers.configure import configure_campaigns
from hub.benefits.vouchers.generate import generate, open_batch
from hub.clock import now
from hub.crypto.tokens import Principal
from tests.integration.api_kit import DINER, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid
from tests.support.vouchers import campaign

ANSWER = """__typename
  ... on Rejection { message }
  ... on InvalidInput { field } ... on IdempotencyConflict { field }
  ... on VouchersRefused { reason parts { verdict } }
  ... on VouchersTaken { number amountMinor expiresAt parts { voucher verdict amountMinor left
    redemption } }"""
KEPT = """__typename ... on Rejection { message } ... on InvalidInput { field }
  ... on VoucherDeclined { reason }
  ... on VoucherKept { voucher { number code state left endsAt history { kind }
    campaign { code kind businesses { code } funder { code } } } }"""
MINE = """query ($id: ID!, $states: [VoucherState!], $first: Int, $after: String) {
  member(id: $id) { vouchers(states: $states, first: $first, after: $after) {
    nodes { number code state history { kind business { code } } }
    pageInfo { endCursor hasNextPage } } } }"""
BY_CODE = "query ($code: String!) { voucherByCode(code: $code) { number state code } }"
INPUTS = {
    "reserveVouchers": "ReserveVouchersInput",
    "redeemVouchers": "RedeemVouchersInput",
    "releaseVouchers": "ReleaseVouchersInput",
    "cancelVoucherRedemption": "CancelVoucherRedemptionInput",
    "assignVoucher": "AssignVoucherInput",
    "claimVoucher": "ClaimVoucherInput",
    "transferVoucher": "TransferVoucherInput",
    "voidVoucher": "VoidVoucherInput",
}
BILL = {"amountMinor": 10_000}


async def act(api: Api, verb: str, who: Principal | None, **given: Any) -> dict[str, Any]:
    answer = ANSWER if verb.endswith(("Vouchers", "Redemption")) else KEPT
    query = f"mutation ($input: {INPUTS[verb]}!) {{ {verb}(input: $input) {{ {answer} }} }}"
    data = await api.data(query, who, input=given)
    found: dict[str, Any] = data[verb]
    return found


@pytest.fixture
async def li(api: Api) -> Person:
    """A person known at the shop, in a group with campaigns."""
    facts: dict[str, Any] = {
        "funder": "shop",
        "businesses": ["hotel", "diner"],
        "valid_until": now() + timedelta(days=90),
    }
    async with api.engine.begin() as db:
        await configure_campaigns(
            db,
            campaigns=[
                campaign("ten-off", per_member=2, transferable=True, **facts),
                campaign("card", amount_minor=5000, keeps_rest=True, **facts),
            ],
        )
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


async def printed(api: Api, count: int) -> list[str]:
    async with api.engine.begin() as db:
        batch = await open_batch(db, campaign_code="ten-off", name="b", count=count, now=now())
        await generate(db, batch_id=batch.batch_id, keyring=api.keyring)
        blocks = codes_of_batch(db, batch_id=batch.batch_id, keyring=api.keyring)
        return [code async for block in blocks for code in block]


async def test_a_printed_code_is_claimed_shown_and_used(api: Api, li: Person) -> None:
    code, other = await printed(api, 2)
    kept = await act(api, "claimVoucher", li.principal, code=code.lower())
    voucher = kept["voucher"]
    assert (voucher["code"], voucher["state"], voucher["left"]) == (code, "ASSIGNED", 1)
    assert voucher["campaign"] == {
        "code": "ten-off",
        "kind": "CASH",
        "businesses": [{"code": "hotel"}, {"code": "diner"}],
        "funder": None,
    }
    assert [e["kind"] for e in voucher["history"]] == ["claimed"]
    asked = {"vouchers": [{"code": code}], "bill": BILL, "idempotencyKey": "k-1"}
    done = await act(api, "redeemVouchers", HOTEL, **asked)
    assert (done["__typename"], done["amountMinor"]) == ("VouchersTaken", 1000)
    assert await act(api, "redeemVouchers", HOTEL, **asked) == done
    conflict = await act(api, "redeemVouchers", HOTEL, **{**asked, "bill": {"amountMinor": 5}})
    assert (conflict["__typename"], conflict["field"]) == ("IdempotencyConflict", "billMinor")
    used = await act(api, "redeemVouchers", DINER, **{**asked, "idempotencyKey": "k-2"})
    assert (used["reason"], used["parts"]) == ("USED_UP", [{"verdict": "USED_UP"}])
    here = await act(api, "redeemVouchers", SHOP, **{**asked, "vouchers": [{"code": other}]})
    assert here["reason"] == "WRONG_BUSINESS"
    slip = await act(api, "redeemVouchers", HOTEL, **{**asked, "vouchers": [{"code": "nonsense"}]})
    assert (slip["__typename"], slip["field"]) == ("InvalidInput", "code")
    back = await act(
        api, "cancelVoucherRedemption", HOTEL, redemption=done["parts"][0]["redemption"],
        idempotencyKey="k-3",
    )  # fmt: skip
    assert (back["__typename"], back["parts"][0]["left"]) == ("VouchersTaken", 1)
    # What a business is told: no code, its own part of the history, and nothing of what it does
    # not take.
    own = await api.data(BY_CODE, HOTEL, code=code)
    assert own["voucherByCode"] == {"number": voucher["number"], "state": "ASSIGNED", "code": None}
    assert (await api.data(BY_CODE, SHOP, code=code))["voucherByCode"] is None
    shown = (await api.data(MINE, li.principal, id=gid("Member", li.member_id)))["member"]
    [node] = shown["vouchers"]["nodes"]
    assert [(e["kind"], e["business"] and e["business"]["code"]) for e in node["history"]] == [
        ("claimed", None),
        ("redeemed", "hotel"),
        ("cancelled", "hotel"),
    ]
    at_shop = (await api.data(MINE, SHOP, id=gid("Member", li.member_id)))["member"]
    assert at_shop["vouchers"]["nodes"] == []


async def test_a_till_reserves_redeems_less_and_releases(api: Api, li: Person) -> None:
    for who in (li.principal, SHOP):
        no = await act(
            api, "assignVoucher", who, campaign="card", reason="why", idempotencyKey="a",
            member={"id": gid("Member", li.member_id)},
        )  # fmt: skip
        assert no["__typename"] == "Forbidden"
    given = await act(
        api, "assignVoucher", STAFF, campaign="card", reason="a long wait", idempotencyKey="a",
        member={"id": gid("Member", li.member_id)},
    )  # fmt: skip
    number = given["voucher"]["number"]
    assert given["voucher"]["code"] is None  # staff see none
    phone = {"phone": "+8613910203040"}
    ask = {"vouchers": [{"number": number}], "bill": BILL, "member": phone, "ttlSeconds": 60}
    nobody = await act(
        api, "reserveVouchers", HOTEL, idempotencyKey="r0", **{**ask, "member": None}
    )
    assert nobody["reason"] == "NOT_YOURS"
    held = await act(api, "reserveVouchers", HOTEL, idempotencyKey="r1", **ask)
    assert (held["amountMinor"], held["expiresAt"] is None) == (5000, False)
    less = {"reservation": held["number"], "vouchers": [{"number": number, "amountMinor": 1200}]}
    used = await act(api, "redeemVouchers", HOTEL, idempotencyKey="u1", **less)
    assert [(p["amountMinor"], p["left"]) for p in used["parts"]] == [(1200, 3800)]
    again = await act(api, "reserveVouchers", DINER, idempotencyKey="r2", **ask)
    released = await act(
        api, "releaseVouchers", DINER, reservation=again["number"], idempotencyKey="l1"
    )
    assert released["parts"][0]["left"] == 3800
    late = await act(api, "redeemVouchers", DINER, reservation=again["number"], idempotencyKey="u2")
    assert late["reason"] == "RESERVATION_CLOSED"
    for wrong, field in (
        ({"ttlSeconds": 0}, "ttlSeconds"),
        ({"vouchers": []}, "vouchers"),
        ({"vouchers": [{}]}, "vouchers"),
        ({"bill": {"amountMinor": -1}}, "billMinor"),
    ):
        no = await act(api, "reserveVouchers", HOTEL, idempotencyKey="r3", **{**ask, **wrong})
        assert (no["__typename"], no["field"]) == ("InvalidInput", field)


async def test_a_voucher_is_given_on_and_voided(api: Api, li: Person) -> None:
    han = await api.join("hotel", "g-1", phone="+8613810203040", name="韩梅梅")
    first, second, third = await printed(api, 3)
    mine = [
        (await act(api, "claimVoucher", li.principal, code=code))["voucher"]["number"]
        for code in (first, second)
    ]
    full = await act(api, "claimVoucher", li.principal, code=third)
    assert (full["__typename"], full["reason"]) == ("VoucherDeclined", "LIMIT_REACHED")
    gift = {"voucher": mine[0], "receiver": str(han.member_id)}
    moved = await act(api, "transferVoucher", li.principal, **gift)
    assert moved["voucher"]["code"] is None  # it is no longer li's to see
    stolen = await act(
        api, "transferVoucher", han.principal, voucher=mine[1], receiver=str(li.member_id)
    )
    assert stolen["reason"] == "NOT_YOURS"
    taken = await act(api, "claimVoucher", li.principal, code=first)
    assert taken["reason"] == "NOT_YOURS"
    void = await act(api, "voidVoucher", STAFF, voucher=mine[1], reason="printed twice")
    assert void["voucher"]["state"] == "VOIDED"
    unknown = await act(api, "voidVoucher", STAFF, voucher="404", reason="printed twice")
    assert unknown["reason"] == "UNKNOWN"
    asked = {"id": gid("Member", li.member_id)}
    for states, numbers in ((["VOIDED"], [mine[1]]), (["ASSIGNED"], []), (None, [mine[1]])):
        page = await api.data(MINE, STAFF, **asked, states=states)
        assert [n["number"] for n in page["member"]["vouchers"]["nodes"]] == numbers
    campaigns = "{ voucherCampaigns(first: 1) { nodes { code } pageInfo { hasNextPage } } }"
    for who, code in ((STAFF, "card"), (SHOP, "card")):
        found = (await api.data(campaigns, who))["voucherCampaigns"]
        assert (found["nodes"], found["pageInfo"]["hasNextPage"]) == ([{"code": code}], True)


BATCH = """__typename ... on Rejection { message } ... on InvalidInput { field }
  ... on IdempotencyConflict { field }
  ... on VouchersGenerated { batch { name campaign wanted made } }"""
GENERATE = f"""mutation ($input: GenerateVouchersInput!) {{
  generateVouchers(input: $input) {{ {BATCH} }} }}"""
BATCHES = """query ($campaign: String, $after: String) {
  voucherBatches(filter: { campaign: $campaign }, first: 2, after: $after) {
    nodes { name made } pageInfo { endCursor hasNextPage } } }"""


async def test_staff_make_codes_in_batches_and_see_how_far_these_are(
    api: Api, li: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql_schema.voucher_batches._MOST_AT_ONCE", 3)

    async def made(**given: Any) -> dict[str, Any]:
        asked = {"campaign": "ten-off", "batch": "mailing", "count": 5, **given}
        answer: dict[str, Any] = (await api.data(GENERATE, STAFF, input=asked))["generateVouchers"]
        return answer

    batch = {"name": "mailing", "campaign": "ten-off", "wanted": 5}
    for there in (3, 5, 5):  # in parts; and no more than were asked for
        assert await made() == {"__typename": "VouchersGenerated", "batch": batch | {"made": there}}
    together = await asyncio.gather(*(made(batch="both", count=4) for _ in range(3)))
    assert {each["__typename"] for each in together} == {"VouchersGenerated"}
    assert max(each["batch"]["made"] for each in together) == 4
    for wrong, kind, field in (
        ({"count": 6}, "IdempotencyConflict", "count"),
        ({"campaign": "card"}, "IdempotencyConflict", "campaign"),
        ({"campaign": "none", "batch": "x"}, "InvalidInput", "campaign"),
        ({"campaign": "\0", "batch": "x"}, "InvalidInput", "campaign"),
        ({"count": 0, "batch": "x"}, "InvalidInput", "count"),
        ({"count": 100_000_001, "batch": "x"}, "InvalidInput", "count"),
        ({"batch": "\n"}, "InvalidInput", "batch"),
    ):
        no = await made(**wrong)
        assert (no["__typename"], no["field"]) == (kind, field)
    await made(campaign="card", batch="cards", count=1)
    page = (await api.data(BATCHES, STAFF))["voucherBatches"]
    assert page["nodes"] == [{"name": "cards", "made": 1}, {"name": "both", "made": 4}]
    rest = await api.data(BATCHES, STAFF, after=page["pageInfo"]["endCursor"])
    assert rest["voucherBatches"]["nodes"] == [{"name": "mailing", "made": 5}]
    only = await api.data(BATCHES, STAFF, campaign="card")
    assert only["voucherBatches"]["nodes"] == page["nodes"][:1]
    async with api.engine.connect() as db:
        batch_id = (await batch_named(db, name="mailing")).batch_id
        blocks = codes_of_batch(db, batch_id=batch_id, keyring=api.keyring)
        codes = [code async for block in blocks for code in block]
    assert len(set(codes)) == 5
    claimed = await act(api, "claimVoucher", li.principal, code=codes[4])
    assert claimed["voucher"]["state"] == "ASSIGNED"
