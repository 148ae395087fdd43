"""Points at the till: what succeeds, every typed refusal, replays, and no overspending ever."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from graphql_schema.schema import build_schema
from hub.clock import business_date, now
from hub.crypto import tokens
from hub.crypto.tokens import Principal
from hub.ledger.verify import verify
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, ZONE, Api, Person
from tests.integration.test_graphql_card import gid
from tests.support.ledger import give

ANSWER = """__typename ... on Rejection {
    message
    ... on InsufficientPoints { available }
    ... on HoldExceeded { remaining }
    ... on IdempotencyConflict { field }
    ... on InvalidInput { field }
    ... on EntitlementRefused { reason } }"""
REDEEM = f"""mutation ($input: RedeemInput!) {{ redeem(input: $input) {{ {ANSWER}
  ... on Redeemed {{ transaction points available
    member {{ balance {{ available posted held }} }} }} }} }}"""
HOLD = f"""mutation ($input: HoldInput!) {{ hold(input: $input) {{ {ANSWER}
  ... on Held {{ hold {{ id points remaining open business {{ code }} }}
    member {{ balance {{ available posted held }} }} }} }} }}"""
CAPTURE = f"""mutation ($input: EndHoldInput!) {{ capture(input: $input) {{ {ANSWER}
  ... on Captured {{ transaction points hold {{ captured voided remaining open }}
    member {{ balance {{ available posted held }} }} }} }} }}"""
VOID = f"""mutation ($input: EndHoldInput!) {{ void(input: $input) {{ {ANSWER}
  ... on Voided {{ transaction points hold {{ captured voided remaining open }}
    member {{ balance {{ available posted held }} }} }} }} }}"""
USE = f"""mutation ($input: UseEntitlementInput!) {{ useEntitlement(input: $input) {{ {ANSWER}
  ... on EntitlementUsed {{ remaining usedAt member {{ entitlements {{ used }} }} }} }} }}"""
OPERATIONS = {
    "redeem": REDEEM,
    "hold": HOLD,
    "capture": CAPTURE,
    "void": VOID,
    "useEntitlement": USE,
}


@pytest.fixture
async def li(api: Api) -> Person:
    """A person known at the shop with 1,000 points."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    await api.buy(li, "shop", 1000)
    await meet(api, SHOP)
    return li


async def meet(api: Api, till: Principal) -> None:
    """Have the application know how a till takes points, so that it redeems there at once."""
    stranger = {"email": "nobody@example.com"}
    asked = await act(api, "redeem", till, member=stranger, points=1, idempotencyKey="meet")
    assert asked["__typename"] == "MemberUnknown"


async def act(api: Api, verb: str, who: Principal, **given: Any) -> dict[str, Any]:
    data = await api.data(OPERATIONS[verb], who, input={"idempotencyKey": "k-1", **given})
    answer: dict[str, Any] = data[verb]
    return answer


def by_id(person: Person) -> dict[str, str]:
    return {"id": gid("Member", person.member_id)}


PHONE = {"phone": "+8613910203040"}


async def test_redeem_spends_and_a_replay_answers_the_same(api: Api, li: Person) -> None:
    first = await act(api, "redeem", SHOP, member=by_id(li), points=300)
    assert first["__typename"] == "Redeemed"
    assert first["member"]["balance"] == {"available": 700, "posted": 700, "held": 0}
    assert await act(api, "redeem", SHOP, member=by_id(li), points=300) == first
    assert await act(api, "redeem", SHOP, member=PHONE, points=300) == first
    await api.buy(li, "shop", 500)
    later = await act(api, "redeem", SHOP, member=by_id(li), points=300)
    assert (first["available"], later["available"]) == (700, 700)  # as the receipt said
    assert later["member"]["balance"]["available"] == 1200


async def test_a_decline_is_stored_and_answers_the_same_though_points_came_since(
    api: Api, li: Person
) -> None:
    declined = await act(api, "redeem", SHOP, member=by_id(li), points=1001)
    assert (declined["__typename"], declined["available"]) == ("InsufficientPoints", 1000)
    await api.buy(li, "shop", 500)
    assert await act(api, "redeem", SHOP, member=by_id(li), points=1001) == declined
    fresh = await act(api, "redeem", SHOP, member=by_id(li), points=1001, idempotencyKey="k-2")
    assert fresh["__typename"] == "Redeemed"


async def test_a_point_ends_with_the_groups_day_whatever_day_the_till_has(
    api: Api, li: Person
) -> None:
    """A bar whose trading day is always yesterday's sells nobody yesterday's points."""
    async with api.engine.begin() as db:
        await db.execute(
            text("UPDATE business SET time_zone = 'Etc/GMT+12', day_starts_at_hour = 12")
        )
        yesterday = business_date(now(), ZONE) - timedelta(days=1)
        await give(db, li.member_id, 500, expires_on=yesterday)
    for verb in ("redeem", "hold"):
        declined = await act(api, verb, DINER, member=PHONE, points=1001, idempotencyKey=verb)
        assert (declined["__typename"], declined["available"]) == ("InsufficientPoints", 1000)


async def test_a_key_used_for_something_else_is_a_conflict_that_names_the_field(
    api: Api, li: Person
) -> None:
    han = await api.join("shop", "c-2", phone="+8613910203041")
    await api.buy(han, "shop", 500)
    await act(api, "redeem", SHOP, member=by_id(li), points=300)
    for verb, given, field in [
        ("redeem", {"member": by_id(li), "points": 301}, "points"),
        ("redeem", {"member": by_id(han), "points": 300}, "member"),
        ("hold", {"member": by_id(li), "points": 300}, "operation"),
        ("capture", {"hold": gid("Hold", li.member_id, 7)}, "operation"),
    ]:
        answer = await act(api, verb, SHOP, **given)
        assert (answer["__typename"], answer["field"]) == ("IdempotencyConflict", field)
    # Another business's keys are its own.
    elsewhere = await act(api, "redeem", DINER, member=PHONE, points=100)
    assert elsewhere["__typename"] == "Redeemed"


async def test_hold_capture_in_parts_and_void_the_rest(api: Api, li: Person) -> None:
    held = await act(api, "hold", DINER, member=PHONE, points=500, idempotencyKey="h")
    assert held["hold"]["business"] == {"code": "diner"}
    assert held["member"]["balance"] == {"available": 500, "posted": 1000, "held": 500}
    hold = held["hold"]["id"]
    part = await act(api, "capture", DINER, hold=hold, points=200, idempotencyKey="c")
    assert part["hold"] == {"captured": 200, "voided": 0, "remaining": 300, "open": True}
    assert part["member"]["balance"] == {"available": 500, "posted": 800, "held": 300}
    over = await act(api, "capture", DINER, hold=hold, points=301, idempotencyKey="c2")
    assert (over["__typename"], over["remaining"]) == ("HoldExceeded", 300)
    void = await act(api, "void", DINER, hold=hold, points=100, idempotencyKey="v")
    assert void["points"] == 100
    rest = await act(api, "capture", DINER, hold=hold, idempotencyKey="c3")
    assert (rest["points"], rest["hold"]["open"]) == (200, False)
    assert rest["member"]["balance"] == {"available": 600, "posted": 600, "held": 0}
    for verb in ("capture", "void"):
        closed = await act(api, verb, DINER, hold=hold, idempotencyKey=f"late-{verb}")
        assert closed["__typename"] == "HoldClosed"
    again = await act(api, "capture", DINER, hold=hold, idempotencyKey="c3")
    assert (again["transaction"], again["points"]) == (rest["transaction"], 200)


async def test_a_hold_of_another_business_and_one_of_nobody_are_unknown(
    api: Api, li: Person
) -> None:
    held = await act(api, "hold", SHOP, member=by_id(li), points=500)
    for hold in (held["hold"]["id"], gid("Hold", li.member_id, 999), gid("Hold", 999, 999)):
        for verb in ("capture", "void"):
            key = f"{verb}-{hold}"
            answer = await act(api, verb, DINER, hold=hold, idempotencyKey=key)
            assert answer["__typename"] == "HoldUnknown"
    query = "query ($id: ID!) { member(id: $id) { holds { points business { code } } } }"
    own = await api.data(query, SHOP, id=gid("Member", li.member_id))
    assert own["member"]["holds"] == [{"points": 500, "business": {"code": "shop"}}]


async def test_a_business_reaches_only_its_customers_and_whom_it_is_presented(
    api: Api, li: Person
) -> None:
    nobody = await act(api, "redeem", SHOP, member={"id": gid("Member", 999)}, points=1)
    hidden = await act(api, "redeem", DINER, member=by_id(li), points=1)
    unseen = await act(api, "redeem", DINER, member={"email": "no@example.com"}, points=1)
    assert nobody == hidden == unseen
    assert hidden["__typename"] == "MemberUnknown"
    # Nothing was stored: the same key serves once the member is presented.
    answer = await act(api, "redeem", DINER, member=PHONE, points=1)
    assert answer["__typename"] == "Redeemed"


@pytest.mark.parametrize(
    ("verb", "given", "field"),
    [
        ("redeem", {"points": 0}, "points"),
        ("redeem", {"points": -5}, "points"),
        ("redeem", {"points": 2**50}, "points"),
        ("redeem", {"points": 1, "idempotencyKey": ""}, "idempotencyKey"),
        ("redeem", {"points": 1, "idempotencyKey": "x" * 191}, "idempotencyKey"),
        ("redeem", {"points": 1, "idempotencyKey": "a\u0000b"}, "idempotencyKey"),
        ("redeem", {"points": 1, "member": {"phone": ""}}, "member"),
        ("redeem", {"points": 1, "member": {"id": gid("Account", 1, 1)}}, "member"),
        ("hold", {"points": 1, "ttlSeconds": 0}, "ttlSeconds"),
        ("hold", {"points": 1, "ttlSeconds": 10**6}, "ttlSeconds"),
        ("capture", {"hold": gid("Hold", 1)}, "hold"),
        ("void", {"hold": gid("Hold", 1, 1), "points": 0}, "points"),
        ("useEntitlement", {"benefit": "no-such"}, "benefit"),
    ],
)
async def test_input_that_cannot_be_names_its_field(
    api: Api, li: Person, verb: str, given: dict[str, Any], field: str
) -> None:
    who = {} if verb in ("capture", "void") else {"member": by_id(li)}
    answer = await act(api, verb, SHOP, **{**who, **given})
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", field)


async def test_numbers_that_no_long_holds_never_reach_a_verb(api: Api, li: Person) -> None:
    for points in (1.5, "3", True, 2**53, None):
        code = await api.code(
            REDEEM, SHOP, input={"member": by_id(li), "points": points, "idempotencyKey": "k"}
        )
        assert code == "bad_request"


@pytest.mark.parametrize("verb", OPERATIONS)
@pytest.mark.parametrize("caller", ["nobody", "member", "staff", "finance", "other", "gone"])
async def test_only_a_business_acts_and_only_for_itself(
    api: Api, li: Person, verb: str, caller: str
) -> None:
    who = {
        "member": li.principal,
        "staff": STAFF,
        "finance": FINANCE,
        "other": SHOP,
        "gone": tokens.business("closed-down"),
    }.get(caller)
    given: dict[str, Any] = {
        "redeem": {"member": PHONE, "points": 1},
        "hold": {"member": PHONE, "points": 1},
        "useEntitlement": {"member": PHONE, "benefit": "room-upgrade"},
    }.get(verb, {"hold": gid("Hold", li.member_id, 1)})
    if caller == "other":
        given["business"] = "hotel"
    if who is None:
        code = await api.code(OPERATIONS[verb], input={"idempotencyKey": "k", **given})
        assert code == "unauthenticated"
    else:
        assert (await act(api, verb, who, **given))["__typename"] == "Forbidden"
    balance = await api.data("{ me { balance { posted held } } }", li.principal)
    assert balance["me"]["balance"] == {"posted": 1000, "held": 0}


async def test_a_business_may_say_that_it_acts_for_itself(api: Api, li: Person) -> None:
    answer = await act(api, "redeem", SHOP, member=by_id(li), points=1, business="shop")
    assert answer["__typename"] == "Redeemed"


async def test_a_benefit_is_used_until_its_quota_is(api: Api, li: Person) -> None:
    async def use(key: str, who: Principal = HOTEL) -> dict[str, Any]:
        return await act(
            api, "useEntitlement", who, member=PHONE, benefit="room-upgrade", idempotencyKey=key
        )

    first = await use("1")
    assert (first["__typename"], first["remaining"]) == ("EntitlementUsed", 1)
    # What it offers to the member, and so to the hotel that the member has no account with.
    assert first["member"]["entitlements"] == [{"used": 1}]
    assert await use("1") == first
    assert (await use("2"))["remaining"] == 0
    assert (await use("3"))["reason"] == "QUOTA_USED"
    assert (await use("1", SHOP))["reason"] == "NOT_OFFERED_HERE"
    await api.join("hotel", "g-2", phone="+8613910203041")
    poor = await act(
        api,
        "useEntitlement",
        HOTEL,
        member={"phone": "+8613910203041"},
        benefit="room-upgrade",
        idempotencyKey="4",
    )
    assert poor["reason"] == "NOT_ENTITLED"
    conflict = await act(
        api,
        "useEntitlement",
        HOTEL,
        member={"phone": "+8613910203041"},
        benefit="room-upgrade",
        idempotencyKey="1",
    )
    assert conflict["field"] == "member"


async def test_several_mutations_run_in_order_each_on_its_own(api: Api, li: Person) -> None:
    member = f'member: {{ id: "{by_id(li)["id"]}" }}'
    query = f"""mutation {{
      a: redeem(input: {{ {member}, points: 600, idempotencyKey: "a" }}) {{ ...R }}
      b: redeem(input: {{ {member}, points: 600, idempotencyKey: "b" }}) {{ ...R }}
      c: redeem(input: {{ {member}, points: 400, idempotencyKey: "c" }}) {{ ...R }}
    }}
    fragment R on RedeemResult {{
      __typename ... on Redeemed {{ member {{ balance {{ posted }} }} }} }}"""
    data = await api.data(query, SHOP)
    assert data["a"] == {"__typename": "Redeemed", "member": {"balance": {"posted": 400}}}
    assert data["b"] == {"__typename": "InsufficientPoints"}
    assert data["c"] == {"__typename": "Redeemed", "member": {"balance": {"posted": 0}}}


async def test_32_redeems_at_once_never_overspend(api: Api, li: Person) -> None:
    who = [SHOP, DINER, HOTEL]
    answers = await asyncio.gather(
        *(
            act(api, "redeem", who[n % 3], member=PHONE, points=70, idempotencyKey=f"race-{n}")
            for n in range(32)
        )
    )
    kinds = [answer["__typename"] for answer in answers]
    assert kinds.count("Redeemed") == 14
    assert kinds.count("InsufficientPoints") == 18
    balance = await api.data("{ me { balance { available posted } } }", li.principal)
    assert balance["me"]["balance"] == {"available": 20, "posted": 20}
    async with api.engine.connect() as db:
        assert await verify(db) == []


async def test_one_request_sent_16_times_at_once_spends_once(api: Api, li: Person) -> None:
    answers = await asyncio.gather(
        *(act(api, "redeem", SHOP, member=PHONE, points=70) for _ in range(16))
    )
    assert len({answer["transaction"] for answer in answers}) == 1
    balance = await api.data("{ me { balance { posted } } }", li.principal)
    assert balance["me"]["balance"]["posted"] == 930


async def act_at(api: Api, when: datetime, verb: str, who: Principal, **given: Any) -> Any:
    """Send a mutation as if it came at another time."""
    context = api.context(who, at=when)
    async with context:
        result = await build_schema().execute(
            OPERATIONS[verb], {"input": {"idempotencyKey": f"{when}", **given}}, context
        )
    assert result.errors is None
    assert result.data is not None
    return result.data[verb]


async def test_after_midnight_a_bar_still_sells_on_the_day_before(api: Api, li: Person) -> None:
    night = now().replace(hour=18, minute=30)  # half past two in Shanghai
    for who in (SHOP, DINER):
        answer = await act_at(api, night, "redeem", who, member=PHONE, points=1)
        assert answer["__typename"] == "Redeemed"
    query = "{ me { entries(kind: REDEEM) { nodes { businessDate business { code } } } } }"
    nodes = (await api.data(query, li.principal))["me"]["entries"]["nodes"]
    today = night.date()
    assert {node["business"]["code"]: node["businessDate"] for node in nodes} == {
        "shop": f"{today + timedelta(days=1)}",
        "diner": f"{today}",
    }


async def test_a_capture_that_comes_too_late_finds_the_hold_closed(api: Api, li: Person) -> None:
    held = await act(api, "hold", SHOP, member=PHONE, points=10, ttlSeconds=60)
    hold = held["hold"]["id"]
    late = await act_at(api, now() + timedelta(seconds=61), "capture", SHOP, hold=hold)
    assert late["__typename"] == "HoldClosed"
    void = await act_at(api, now() + timedelta(seconds=62), "void", SHOP, hold=hold)
    assert void["__typename"] == "Voided"
