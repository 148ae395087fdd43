"""Transfers and pools by GraphQL: a member for itself, staff for a member, nobody else."""

from typing import Any

import pytest

from hub.crypto.tokens import Principal
from hub.ledger.verify import verify
from tests.integration.api_kit import FINANCE, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid

ANSWER = """__typename ... on Rejection { message
    ... on InsufficientPoints { available }
    ... on LimitReached { available }
    ... on IdempotencyConflict { field }
    ... on InvalidInput { field } }"""
POOL = "pool { code members balance { available } }"
OPERATIONS = {
    "transfer": (
        "TransferInput",
        "Transferred { transaction points member { balance { posted } } }",
    ),
    "openPool": ("PoolInput", f"InPool {{ {POOL} member {{ number }} }}"),
    "joinPool": ("JoinPoolInput", f"InPool {{ {POOL} member {{ number }} }}"),
    "contributeToPool": (
        "ContributeInput",
        f"Contributed {{ transaction points member {{ balance {{ posted }} {POOL} }} }}",
    ),
    "leavePool": (
        "PoolInput",
        f"LeftPool {{ transaction points member {{ balance {{ posted }} {POOL} }} }}",
    ),
    "redeemFromPool": (
        "RedeemInput",
        "RedeemedFromPool { transaction points member { balance { posted } } }",
    ),
}
HAN_PHONE = {"phone": "+8613910203041"}
LI_PHONE = {"phone": "+8613910203040"}


def document(verb: str) -> str:
    input_type, success = OPERATIONS[verb]
    return (
        f"mutation ($input: {input_type}!) {{ {verb}(input: $input) "
        f"{{ {ANSWER} ... on {success} }} }}"
    )


async def act(api: Api, verb: str, who: Principal, **given: Any) -> dict[str, Any]:
    keyed = {} if verb == "joinPool" else {"idempotencyKey": "k-1"}
    answer: dict[str, Any] = (await api.data(document(verb), who, input={**keyed, **given}))[verb]
    return answer


@pytest.fixture
async def li(api: Api) -> Person:
    """A person with 1,000 points, known at the shop."""
    li = await api.join("shop", "c-1", phone=LI_PHONE["phone"], name="李雷")
    await api.buy(li, "shop", 1000)
    return li


@pytest.fixture
async def han(api: Api) -> Person:
    """A person without points, known at the hotel."""
    return await api.join("hotel", "g-2", phone=HAN_PHONE["phone"])


async def test_a_member_gives_points_once_however_often_it_asks(
    api: Api, li: Person, han: Person
) -> None:
    first = await act(api, "transfer", li.principal, receiver=HAN_PHONE, points=300)
    assert first["__typename"] == "Transferred"
    assert first["member"]["balance"]["posted"] == 700
    by_id = {"id": gid("Member", han.member_id)}
    assert await act(api, "transfer", li.principal, receiver=by_id, points=300) == first
    other = await act(api, "transfer", li.principal, receiver=HAN_PHONE, points=301)
    assert (other["__typename"], other["field"]) == ("IdempotencyConflict", "points")
    # The same key from another member is another request.
    back = await act(api, "transfer", han.principal, receiver=LI_PHONE, points=100)
    assert back["__typename"] == "Transferred"
    # Staff act for a member, under keys of their own.
    staff = await act(api, "transfer", STAFF, member=LI_PHONE, receiver=HAN_PHONE, points=300)
    assert staff["member"]["balance"]["posted"] == 500


async def test_what_cannot_be_given_is_answered_with_what_could(
    api: Api, li: Person, han: Person
) -> None:
    poor = await act(api, "transfer", li.principal, receiver=HAN_PHONE, points=1001)
    assert (poor["__typename"], poor["available"]) == ("InsufficientPoints", 1000)
    assert await act(api, "transfer", li.principal, receiver=HAN_PHONE, points=1001) == poor
    await api.buy(li, "shop", 100_000)
    most = await act(
        api, "transfer", li.principal, receiver=HAN_PHONE, points=100_001, idempotencyKey="k-2"
    )
    assert (most["__typename"], most["available"]) == ("LimitReached", 100_000)


@pytest.mark.parametrize(
    ("given", "kind", "field"),
    [
        ({"points": 0}, "InvalidInput", "points"),
        ({"receiver": LI_PHONE}, "InvalidInput", "receiver"),
        ({"receiver": {"phone": ""}}, "InvalidInput", "receiver"),
        ({"receiver": {"phone": "+8613900000000"}}, "MemberUnknown", None),
        ({"receiver": {"id": gid("Member", 2**40)}}, "MemberUnknown", None),
        ({"member": HAN_PHONE}, "MemberUnknown", None),
        ({"business": "nowhere"}, "InvalidInput", "business"),
        ({"idempotencyKey": "x" * 161}, "InvalidInput", "idempotencyKey"),
    ],
)
@pytest.mark.usefixtures("han")
async def test_a_transfer_that_cannot_be_names_its_field_and_moves_nothing(
    api: Api, li: Person, given: dict[str, Any], kind: str, field: str | None
) -> None:
    asked = {"receiver": HAN_PHONE, "points": 5, **given}
    answer = await act(api, "transfer", li.principal, **asked)
    assert (answer["__typename"], answer.get("field")) == (kind, field)
    balance = await api.data("{ me { balance { posted } } }", li.principal)
    assert balance["me"]["balance"]["posted"] == 1000


async def test_a_pool_from_its_opening_to_its_end(api: Api, li: Person, han: Person) -> None:
    opened = await act(api, "openPool", li.principal)
    assert await act(api, "openPool", li.principal) == opened
    code = opened["pool"]["code"]
    again = await act(api, "openPool", li.principal, idempotencyKey="k-2")
    assert again["__typename"] == "AlreadyInPool"
    outside = await act(api, "contributeToPool", han.principal, points=1)
    assert outside["__typename"] == "NotInPool"
    assert (await act(api, "joinPool", han.principal, code="?"))["__typename"] == "PoolUnknown"
    joined = await act(api, "joinPool", han.principal, code=code)
    assert joined["pool"]["members"] == 2
    assert await act(api, "joinPool", han.principal, code=code) == joined
    put = await act(api, "contributeToPool", li.principal, points=400, idempotencyKey="c")
    assert put["member"]["balance"]["posted"] == 600
    assert put["member"]["pool"]["balance"]["available"] == 400
    assert await act(api, "contributeToPool", li.principal, points=400, idempotencyKey="c") == put
    poor = await act(api, "contributeToPool", li.principal, points=601, idempotencyKey="d")
    assert (poor["__typename"], poor["available"]) == ("InsufficientPoints", 600)
    spent = await act(api, "redeemFromPool", SHOP, member=HAN_PHONE, points=150)
    assert spent["points"] == 150
    assert await act(api, "redeemFromPool", SHOP, member=HAN_PHONE, points=150) == spent
    more = await act(api, "redeemFromPool", SHOP, member=HAN_PHONE, points=251, idempotencyKey="m")
    assert (more["__typename"], more["available"]) == ("InsufficientPoints", 250)
    left = await act(api, "leavePool", li.principal, idempotencyKey="l")
    assert (left["points"], left["member"]["pool"]) == (250, None)
    assert await act(api, "leavePool", li.principal, idempotencyKey="l") == left
    out = await act(api, "leavePool", li.principal, idempotencyKey="l2")
    assert out["__typename"] == "NotInPool"


async def test_a_pools_code_is_for_its_members_alone(api: Api, li: Person) -> None:
    opened = await act(api, "openPool", STAFF, member=LI_PHONE)
    assert opened["pool"]["code"] is None
    query = "query ($id: ID!) { member(id: $id) { pool { code members } } }"
    seen = {
        who.role.value: (await api.data(query, who, id=gid("Member", li.member_id)))["member"]
        for who in (li.principal, STAFF, SHOP)
    }
    assert len(seen["member"]["pool"]["code"]) >= 16
    assert seen["staff"] == seen["business"] == {"pool": {"code": None, "members": 1}}


async def test_a_full_pool_takes_nobody_in(api: Api, li: Person) -> None:
    code = (await act(api, "openPool", li.principal))["pool"]["code"]
    found = [
        (
            await act(
                api,
                "joinPool",
                (await api.join("hotel", f"g-{n}", phone=f"+86139102031{n:02}")).principal,
                code=code,
            )
        )["__typename"]
        for n in range(8)
    ]
    assert found == ["InPool"] * 7 + ["PoolFull"]


@pytest.mark.parametrize("verb", OPERATIONS)
async def test_who_may_not_moves_nothing(api: Api, li: Person, han: Person, verb: str) -> None:
    given: dict[str, Any] = {
        "transfer": {"receiver": HAN_PHONE, "points": 1, "member": LI_PHONE},
        "contributeToPool": {"points": 1, "member": LI_PHONE},
        "joinPool": {"code": "x", "member": LI_PHONE},
        "redeemFromPool": {"points": 1, "member": LI_PHONE},
    }.get(verb, {"member": LI_PHONE})
    others = (li.principal, STAFF, FINANCE) if verb == "redeemFromPool" else (SHOP, FINANCE)
    for who in others:
        assert (await act(api, verb, who, **given))["__typename"] == "Forbidden"
    keyed = {} if verb == "joinPool" else {"idempotencyKey": "k"}
    assert await api.code(document(verb), input={**keyed, **given}) == "unauthenticated"


RESTORE = f"""mutation ($input: RestoreInput!) {{ restore(input: $input) {{ {ANSWER}
  ... on RedemptionExceeded {{ remaining }} ... on Restored {{ points }} }} }}"""


async def held_by(api: Api, person: Person) -> tuple[int, int | None]:
    """Return what a person has, and what their pool has."""
    query = "{ me { balance { posted } pool { balance { posted } } } }"
    me = (await api.data(query, person.principal))["me"]
    return me["balance"]["posted"], me["pool"] and me["pool"]["balance"]["posted"]


async def test_what_a_pool_paid_goes_back_to_it_and_once_closed_to_who_spent_it(
    api: Api, li: Person, han: Person
) -> None:
    code = (await act(api, "openPool", li.principal))["pool"]["code"]
    await act(api, "joinPool", han.principal, code=code)
    await act(api, "contributeToPool", li.principal, points=400, idempotencyKey="c")
    spent = await act(api, "redeemFromPool", SHOP, member=HAN_PHONE, points=150)

    async def restore(points: int, key: str, member: dict[str, str] = HAN_PHONE) -> Any:
        asked = {"member": member, "transaction": spent["transaction"], "points": points}
        return (await api.data(RESTORE, SHOP, input={**asked, "idempotencyKey": key}))["restore"]

    assert (await restore(50, "r-1"))["__typename"] == "Restored"
    assert await held_by(api, li) == (600, 300)
    for person in (li, han):
        await act(api, "leavePool", person.principal, idempotencyKey="l")
    # Asked again after the pool's end: the first answer, and nothing moves.
    assert (await restore(50, "r-1"))["points"] == 50
    assert (await held_by(api, li), await held_by(api, han)) == ((900, None), (0, None))
    # Whoever of its members is named: they go to who had spent them.
    for _ in range(2):
        assert (await restore(60, "r-2", LI_PHONE))["points"] == 60
    assert (await held_by(api, li), await held_by(api, han)) == ((900, None), (60, None))
    more = await restore(41, "r-3")
    assert (more["__typename"], more["remaining"]) == ("RedemptionExceeded", 40)
    async with api.engine.connect() as db:
        assert await verify(db) == []
