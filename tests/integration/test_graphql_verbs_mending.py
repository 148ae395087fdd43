"""What staff correct by GraphQL: every success, every typed refusal, replays, and who may not."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.clock import business_date, now
from hub.crypto.tokens import Principal, Role
from hub.ledger.codes import ShortfallMode
from hub.points.clawback import clawback
from hub.points.expire import expire
from tests.integration.api_kit import FINANCE, SHOP, STAFF, ZONE, Api, Person
from tests.integration.test_graphql_card import gid

OTHER = Principal(role=Role.STAFF, subject="cy")
PHONE = {"phone": "+8613910203040"}
ANSWER = """__typename ... on Rejection { message
    ... on InsufficientPoints { available }
    ... on FewerLeft { remaining }
    ... on BeyondPolicy { latest }
    ... on IdempotencyConflict { field }
    ... on InvalidInput { field } }"""
ADJUSTED = """Adjusted { adjustment { id points state maker checker verdict }
    member { balance { posted } } }"""
MENDED = "Mended { transaction points member { balance { posted } } }"
OPERATIONS = {
    "proposeAdjustment": ("ProposeAdjustmentInput", ADJUSTED),
    "approveAdjustment": ("ApproveAdjustmentInput", ADJUSTED),
    "rejectAdjustment": ("RejectAdjustmentInput", ADJUSTED),
    "extendPoints": ("ExtendPointsInput", MENDED),
    "reinstatePoints": ("ReinstatePointsInput", MENDED),
    "recoverReceivable": ("RecoverReceivableInput", MENDED),
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "proposeAdjustment": {
        "member": PHONE, "business": "shop", "reason": "goodwill", "idempotencyKey": "k-1"},
    "approveAdjustment": {},
    "rejectAdjustment": {"reason": "not ours"},
    "extendPoints": {
        "member": PHONE, "business": "shop", "reason": "was ill", "idempotencyKey": "k-1"},
    "reinstatePoints": {
        "member": PHONE, "business": "shop", "reason": "was ill", "idempotencyKey": "k-1"},
    "recoverReceivable": {
        "member": PHONE, "business": "shop", "reason": "by card", "idempotencyKey": "k-1",
        "how": "PAID"},
}  # fmt: skip


def document(verb: str) -> str:
    input_type, success = OPERATIONS[verb]
    return (
        f"mutation ($input: {input_type}!) {{ {verb}(input: $input) "
        f"{{ {ANSWER} ... on {success} }} }}"
    )


async def act(api: Api, verb: str, who: Principal = STAFF, **given: Any) -> dict[str, Any]:
    asked = {**DEFAULTS[verb], **given}
    answer: dict[str, Any] = (await api.data(document(verb), who, input=asked))[verb]
    return answer


@pytest.fixture
async def li(api: Api) -> Person:
    """A person with 1,000 points of the shop."""
    li = await api.join("shop", "c-1", phone=PHONE["phone"])
    await api.buy(li, "shop", 1000)
    return li


def today() -> date:
    return business_date(now(), ZONE)


async def lots(api: Api) -> list[dict[str, Any]]:
    query = '{ memberSearch(by: { phone: "+8613910203040" }) { lots { id expiresOn } } }'
    found: list[dict[str, Any]] = (await api.data(query, STAFF))["memberSearch"][0]["lots"]
    return found


async def test_few_points_are_adjusted_at_once(api: Api, li: Person) -> None:
    more = await act(api, "proposeAdjustment", points=50)
    assert more["adjustment"]["state"] == "POSTED"
    assert more["member"]["balance"]["posted"] == 1050
    assert await act(api, "proposeAdjustment", points=50) == more
    other = await act(api, "proposeAdjustment", points=51)
    assert (other["__typename"], other["field"]) == ("IdempotencyConflict", "points")
    fewer = await act(api, "proposeAdjustment", points=-60, business="hotel", idempotencyKey="k-2")
    assert (fewer["__typename"], fewer["available"]) == ("InsufficientPoints", 0)
    again = await act(api, "proposeAdjustment", points=-60, business="hotel", idempotencyKey="k-2")
    assert again == fewer


async def test_many_points_wait_for_somebody_else(api: Api, li: Person) -> None:
    proposed = await act(api, "proposeAdjustment", points=5000)
    id_ = proposed["adjustment"]["id"]
    assert proposed["adjustment"]["state"] == "PROPOSED"
    assert proposed["member"]["balance"]["posted"] == 1000
    waiting = "query ($b: String) { proposedAdjustments(business: $b) { nodes { id } } }"
    assert (await api.data(waiting, OTHER, b="shop"))["proposedAdjustments"]["nodes"] == [
        {"id": id_}
    ]
    assert (await api.data(waiting, OTHER, b="hotel"))["proposedAdjustments"]["nodes"] == []
    assert (await act(api, "approveAdjustment", adjustment=id_))["__typename"] == "Forbidden"
    approved = await act(api, "approveAdjustment", OTHER, adjustment=id_)
    assert approved["adjustment"] == {
        **proposed["adjustment"], "state": "POSTED", "checker": "cy"}  # fmt: skip
    assert approved["member"]["balance"]["posted"] == 6000
    assert await act(api, "approveAdjustment", OTHER, adjustment=id_) == approved
    late = await act(api, "rejectAdjustment", OTHER, adjustment=id_)
    assert late["__typename"] == "AdjustmentDecided"
    assert (await api.data(waiting, OTHER, b="shop"))["proposedAdjustments"]["nodes"] == []


async def test_a_rejected_adjustment_stays_so(api: Api, li: Person) -> None:
    id_ = (await act(api, "proposeAdjustment", points=5000))["adjustment"]["id"]
    rejected = await act(api, "rejectAdjustment", OTHER, adjustment=id_)
    assert rejected["adjustment"]["state"] == "REJECTED"
    assert rejected["adjustment"]["verdict"] == "not ours"
    assert await act(api, "rejectAdjustment", OTHER, adjustment=id_) == rejected
    late = await act(api, "approveAdjustment", OTHER, adjustment=id_)
    assert late["__typename"] == "AdjustmentDecided"
    query = "query ($id: ID!) { node(id: $id) { ... on Adjustment { state memberNumber } } }"
    node = (await api.data(query, STAFF, id=id_))["node"]
    assert node == {"state": "REJECTED", "memberNumber": f"{li.member_id}"}
    for verb in ("approveAdjustment", "rejectAdjustment"):
        nobody = await act(api, verb, adjustment=gid("Adjustment", li.member_id, 1))
        assert nobody["__typename"] == "AdjustmentUnknown"


async def test_points_are_given_more_time_within_the_policy(api: Api, li: Person) -> None:
    [lot] = await lots(api)
    ends = date.fromisoformat(lot["expiresOn"])
    until = f"{ends + timedelta(days=30)}"
    longer = await act(api, "extendPoints", lot=lot["id"], until=until)
    assert (longer["__typename"], longer["points"]) == ("Mended", 1000)
    assert await act(api, "extendPoints", lot=lot["id"], until=until) == longer
    assert await lots(api) == [{"id": lot["id"], "expiresOn": until}]
    found = {
        name: (await act(api, "extendPoints", idempotencyKey=name, **given))
        for name, given in {
            "sooner": {"until": f"{ends}"},
            "beyond": {"until": f"{ends + timedelta(days=400)}"},
            "unknown": {"lot": gid("Lot", li.member_id, 1), "until": until},
            "foreign": {"lot": gid("Lot", li.member_id + 1, 1), "until": until},
            "silent": {"until": until, "reason": " "},
        }.items()
    }
    assert {name: answer["__typename"] for name, answer in found.items()} == {
        "sooner": "EndsNoSooner",
        "beyond": "BeyondPolicy",
        "unknown": "LotUnknown",
        "foreign": "InvalidInput",
        "silent": "InvalidInput",
    }
    assert (found["foreign"]["field"], found["silent"]["field"]) == ("lot", "reason")
    clash = await act(api, "extendPoints", until=until)
    assert (clash["__typename"], clash["field"]) == ("IdempotencyConflict", "lot")


async def test_points_that_ended_are_found_in_an_entry_and_given_back(api: Api, li: Person) -> None:
    async with api.engine.begin() as db:
        await db.execute(text("UPDATE lot SET expires_on = '2020-01-01'"))
        await expire(db, today=today(), now=now())
    query = "{ me { entries(kind: EXPIRE) { nodes { lot points } } } }"
    [entry] = (await api.data(query, li.principal))["me"]["entries"]["nodes"]
    assert entry["points"] == -1000
    lot = entry["lot"]
    back = await act(api, "reinstatePoints", lot=lot, points=400)
    assert (back["__typename"], back["member"]["balance"]["posted"]) == ("Mended", 400)
    assert await act(api, "reinstatePoints", lot=lot, points=400) == back
    more = await act(api, "reinstatePoints", lot=lot, points=601, idempotencyKey="k-2")
    assert (more["__typename"], more["remaining"]) == ("FewerLeft", 600)
    never = await act(api, "reinstatePoints", lot=gid("Lot", li.member_id, 1), idempotencyKey="k-3")
    assert never["__typename"] == "LotUnknown"
    beyond = await act(api, "reinstatePoints", lot=lot, until="2999-01-01", idempotencyKey="k-4")
    assert beyond["__typename"] == "BeyondPolicy"
    assert date.fromisoformat(beyond["latest"]) > today()


async def test_what_is_owed_in_money_is_seen_and_closed(api: Api, li: Person) -> None:
    async with api.engine.begin() as db:
        await db.execute(text("UPDATE lot SET remaining = 0, open = false"))
        await db.execute(text("UPDATE balance SET posted = 0 WHERE unit = 1"))
        earn_tx = await db.scalar(text("SELECT lot_id FROM lot"))
        assert earn_tx is not None
        answer = await clawback(
            db,
            business_id=api.ids["shop"],
            member_id=li.member_id,
            account_id=li.account_id,
            earn_tx=earn_tx,
            refund=None,
            idempotency_key="void",
            occurred_at=now(),
            business_date=today(),
            now=now(),
            mode=ShortfallMode.RECEIVABLE,
        )
    query = "query ($id: ID!) { member(id: $id) { receivables { clawback points remaining } } }"
    asked = {"id": gid("Member", li.member_id)}
    number = f"{answer.tx_id}"
    owed = [{"clawback": number, "points": 1000, "remaining": 1000}]
    for who in (li.principal, STAFF, SHOP):
        assert (await api.data(query, who, **asked))["member"]["receivables"] == owed
    paid = await act(api, "recoverReceivable", clawback=number, points=400)
    assert (paid["__typename"], paid["points"]) == ("Mended", 400)
    assert await act(api, "recoverReceivable", clawback=number, points=400) == paid
    more = await act(api, "recoverReceivable", clawback=number, points=601, idempotencyKey="2")
    assert (more["__typename"], more["remaining"]) == ("FewerLeft", 600)
    elsewhere = await act(api, "recoverReceivable", clawback=number, business="hotel")
    assert elsewhere["__typename"] == "ReceivableUnknown"
    made_up = await act(api, "recoverReceivable", clawback="x", idempotencyKey="3")
    assert (made_up["__typename"], made_up["field"]) == ("InvalidInput", "clawback")
    rest = await act(
        api, "recoverReceivable", clawback=number, how="WRITTEN_OFF", idempotencyKey="4"
    )
    assert rest["points"] == 600
    assert (await api.data(query, STAFF, **asked))["member"]["receivables"] == []


@pytest.mark.parametrize("verb", OPERATIONS)
async def test_only_staff_correct(api: Api, li: Person, verb: str) -> None:
    given: dict[str, Any] = {
        "proposeAdjustment": {"points": 1},
        "extendPoints": {"until": "2999-01-01"},
        "reinstatePoints": {"lot": gid("Lot", li.member_id, 1)},
        "recoverReceivable": {"clawback": "1"},
    }.get(verb, {"adjustment": gid("Adjustment", li.member_id, 1)})
    for who in (li.principal, SHOP, FINANCE):
        assert (await act(api, verb, who, **given))["__typename"] == "Forbidden"
    asked = {**DEFAULTS[verb], **given}
    assert await api.code(document(verb), input=asked) == "unauthenticated"
    nobody = {**given, "member": {"phone": "+8613900000000"}}
    if "member" in DEFAULTS[verb]:
        assert (await act(api, verb, STAFF, **nobody))["__typename"] == "MemberUnknown"
