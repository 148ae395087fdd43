"""The queue as staff see it: who may, what is shown of both sides, and decisions by mutation."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.clock import now
from hub.connector import Hint, HintType
from hub.ledger.verify import verify
from hub.members.resolve import Sighting, resolve
from hub.members.review.propose import Proposal, propose
from tests.integration.api_kit import FINANCE, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid

PHONE = "+8613910203040"
QUEUE = """query ($state: ReviewState, $reason: ReviewReason, $assignedTo: String, $first: Int,
    $after: String, $last: Int, $before: String) {
  reviewItems(state: $state, reason: $reason, assignedTo: $assignedTo, first: $first, after: $after,
    last: $last, before: $before) {
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { id state reason } } }"""
SIDES = """query ($id: ID!, $masked: Boolean) { node(id: $id) { ... on ReviewItem {
  reason state score decision member { number }
  seen { account { externalId business { code } }
    said(masked: $masked) { attribute value verified owned shared } }
  candidates { own member { number displayName } agreement { attribute agrees }
    accounts { account { externalId } said(masked: $masked) { attribute value owned } }
    evidence { score weights { field level weight } vetoes } }
  history { done doneBy note } } } }"""
DECIDE = """mutation ($input: %sInput!) { %s(input: $input) { __typename
  ... on Reviewed { review { state decision decidedBy assignedTo undoneAt } }
  ... on ReviewDecided { state } ... on ReviewRefused { reason }
  ... on InvalidInput { field } } }"""
VERBS = {
    "acceptReview": "AcceptReview",
    "rejectReview": "Review",
    "markNotTheSame": "Review",
    "assignReview": "AssignReview",
    "undoReview": "Review",
}


async def decide(api: Api, who: Any, verb: str, review: str, **said: Any) -> Any:
    query = DECIDE % (VERBS[verb], verb)
    return (await api.data(query, who, input={"review": review, **said}))[verb]


async def queue(api: Api, **asked: Any) -> Any:
    return (await api.data(QUEUE, STAFF, **{"state": "OPEN", **asked}))["reviewItems"]


async def see(api: Api, business: str, external: str, **said: str) -> Person:
    """Have a business see somebody, none of whose details are verified."""
    hints = tuple(
        Hint(type=HintType(kind), value=value, verified=False) for kind, value in said.items()
    )
    sighting = Sighting(
        business_id=api.ids[business], external_id=external, hints=hints, seen_at=now()
    )
    async with api.engine.begin() as db:
        [found] = await resolve(db, people=[sighting], now=now(), keyring=api.keyring)
    assert found.member_id is not None
    assert found.account_id is not None
    return Person(member_id=found.member_id, account_id=found.account_id)


@pytest.fixture
async def pair(api: Api) -> tuple[Person, Person]:
    """A shop's customer, and a hotel's guest who gives the same phone without proof."""
    li = await api.join("shop", "c-1", phone=PHONE, name="李雷", birthday="1990-02-03")
    guest = await see(api, "hotel", "g-1", phone=PHONE, name="Li Lei", email="mei@example.org")
    return li, guest


async def only(api: Api) -> str:
    [node] = (await queue(api))["nodes"]
    review: str = node["id"]
    return review


async def test_both_sides_are_shown_masked_with_how_they_agree(
    api: Api, pair: tuple[Person, Person]
) -> None:
    li, guest = pair
    shown = (await api.data(SIDES, STAFF, id=await only(api)))["node"]
    assert (shown["reason"], shown["state"]) == ("UNVERIFIED_IDENTIFIER", "OPEN")
    assert shown["member"] == {"number": str(guest.member_id)}
    assert shown["seen"] == {
        "account": {"externalId": "g-1", "business": {"code": "hotel"}},
        "said": [
            {"attribute": name, "value": value, "verified": False, "owned": False, "shared": False}
            for name, value in (
                ("name", "L*** L***"),
                ("phone", "139****3040"),
                ("email", "m***@example.org"),
            )
        ],
    }
    [candidate] = shown["candidates"]
    assert candidate["member"] == {"number": str(li.member_id), "displayName": "李*"}
    assert not candidate["own"]
    assert {one["attribute"]: one["agrees"] for one in candidate["agreement"]} == {
        "name": "ALIKE",
        "phone": "SAME",
        "email": "UNKNOWN",
        "birthday": "UNKNOWN",
        "id_document_hash": "UNKNOWN",
        "unionid": "UNKNOWN",
        "loyalty_id": "UNKNOWN",
    }
    [account] = candidate["accounts"]
    assert account["account"] == {"externalId": "c-1"}
    assert account["said"] == [
        {"attribute": "name", "value": "李*", "owned": False},
        {"attribute": "phone", "value": "139****3040", "owned": True},
        {"attribute": "birthday", "value": "****-02-**", "owned": False},
    ]
    assert candidate["evidence"] is None


async def test_lifting_the_mask_is_on_record(api: Api, pair: tuple[Person, Person]) -> None:
    li, guest = pair
    shown = (await api.data(SIDES, STAFF, id=await only(api), masked=False))["node"]
    assert shown["seen"]["said"][1]["value"] == PHONE
    async with api.engine.connect() as db:
        reads = await db.execute(text("SELECT member_id, attribute FROM read_audit"))
        assert set(map(tuple, reads.all())) == {
            *((guest.member_id, one) for one in ("name", "phone", "email")),
            *((li.member_id, one) for one in ("name", "phone", "birthday")),
        }


async def test_the_queue_is_for_staff_alone(api: Api, pair: tuple[Person, Person]) -> None:
    li, _ = pair
    review = await only(api)
    for who in (li.principal, SHOP, HOTEL, FINANCE):
        assert await api.code(QUEUE, who) == "forbidden"
        assert await api.code(SIDES, who, id=review) == "forbidden"
        for verb in VERBS:
            assert (await decide(api, who, verb, review))["__typename"] == "Forbidden"
    assert await api.code(QUEUE) == "unauthenticated"
    assert await only(api) == review


async def test_decisions_are_answered_the_same_again(api: Api, pair: tuple[Person, Person]) -> None:
    li, guest = pair
    review = await only(api)
    given = await decide(api, STAFF, "assignReview", review, to="bo")
    assert given["review"]["assignedTo"] == "bo"
    done = await decide(api, STAFF, "acceptReview", review, note="rang her")
    assert done["review"] == {
        "state": "ACCEPTED",
        "decision": "merged",
        "decidedBy": "ann",
        "assignedTo": "bo",
        "undoneAt": None,
    }
    named = gid("Member", guest.member_id)
    assert await decide(api, STAFF, "acceptReview", review, candidate=named) == done
    query = "query ($id: ID!) { member(id: $id) { number } }"
    merged = await api.data(query, STAFF, id=named)
    assert merged["member"]["number"] == str(li.member_id)
    late = await decide(api, STAFF, "rejectReview", review)
    assert late == {"__typename": "ReviewDecided", "state": "ACCEPTED"}
    undone = await decide(api, STAFF, "undoReview", review)
    assert undone["review"]["state"] == "OPEN"
    assert undone["review"]["undoneAt"] is not None
    assert await decide(api, STAFF, "undoReview", review) == undone
    apart = await decide(api, STAFF, "markNotTheSame", review)
    assert apart["review"]["decision"] == "set_apart"
    history = (await api.data(SIDES, STAFF, id=review))["node"]["history"]
    assert [one["done"] for one in history] == ["assigned", "accepted", "undone", "not_same"]
    assert history[1] == {"done": "accepted", "doneBy": "ann", "note": "rang her"}


async def test_what_cannot_be_decided_is_refused(api: Api, pair: tuple[Person, Person]) -> None:
    review = await only(api)
    refused = {"__typename": "ReviewRefused", "reason": "NOTHING_TO_UNDO"}
    assert await decide(api, STAFF, "undoReview", review) == refused
    unknown = await decide(api, STAFF, "acceptReview", gid("ReviewItem", 999))
    assert unknown["__typename"] == "ReviewUnknown"
    wrong = await decide(api, STAFF, "acceptReview", review, candidate=gid("Member", 999))
    assert wrong == {"__typename": "InvalidInput", "field": "candidate"}
    wrong = await decide(api, STAFF, "acceptReview", gid("Member", 1))
    assert wrong == {"__typename": "InvalidInput", "field": "review"}
    wrong = await decide(api, STAFF, "rejectReview", review, note="\0")
    assert wrong == {"__typename": "InvalidInput", "field": "note"}


async def test_of_decisions_at_once_one_wins(api: Api) -> None:
    for number in range(6):
        phone = f"+86139102031{number:02}"
        await api.join("shop", f"c-{number}", phone=phone, name="李雷")
        await see(api, "hotel", f"g-{number}", phone=phone, name="李雷")
    for node in (await queue(api))["nodes"]:
        answers = await asyncio.gather(
            *(
                decide(api, STAFF, verb, node["id"])
                for verb in ("acceptReview", "rejectReview", "markNotTheSame", "acceptReview")
            )
        )
        kinds = [answer["__typename"] for answer in answers]
        assert kinds.count("Reviewed") in (1, 2)
        assert set(kinds) == {"Reviewed", "ReviewDecided"}
        states = {answer.get("state") or answer["review"]["state"] for answer in answers}
        assert len(states) == 1
    async with api.engine.connect() as db:
        merged = await db.scalar(text("SELECT count(*) FROM member WHERE status = 'merged'"))
        state = text("SELECT count(*) FROM review_item WHERE state = 'accepted'")
        assert merged == await db.scalar(state)
        assert await verify(db) == []


async def test_pages_hold_still_while_the_queue_moves(api: Api) -> None:
    for number in range(5):
        phone = f"+86139102032{number:02}"
        await api.join("shop", f"c-{number}", phone=phone)
        await see(api, "hotel", f"g-{number}", phone=phone)
    ids = [node["id"] for node in (await queue(api))["nodes"]]
    page = await queue(api, first=2)
    assert [node["id"] for node in page["nodes"]] == ids[:2]
    assert page["pageInfo"]["hasNextPage"]
    await decide(api, STAFF, "rejectReview", ids[0])
    rest = await queue(api, first=9, after=page["pageInfo"]["endCursor"])
    assert [node["id"] for node in rest["nodes"]] == ids[2:]
    back = await queue(api, last=2, before=rest["pageInfo"]["endCursor"])
    assert [node["id"] for node in back["nodes"]] == ids[2:4]
    assert back["pageInfo"]["hasPreviousPage"]
    await decide(api, STAFF, "assignReview", ids[1], to="bo")
    assert [n["id"] for n in (await queue(api, assignedTo="bo"))["nodes"]] == [ids[1]]
    assert [n["id"] for n in (await queue(api, state="REJECTED"))["nodes"]] == [ids[0]]
    assert [n["id"] for n in (await queue(api, state=None))["nodes"]] == ids
    assert (await queue(api, reason="BATCH_MATCH"))["nodes"] == []


async def test_five_reviews_cost_as_many_statements_as_one(api: Api) -> None:
    for number in range(5):
        phone = f"+86139102033{number:02}"
        await api.join("shop", f"c-{number}", phone=phone, name="李雷")
        await see(api, "hotel", f"g-{number}", phone=phone, name="李雷")
    ids = [node["id"] for node in (await queue(api))["nodes"]]
    query = SIDES.replace("node(id: $id)", "nodes(ids: $id)").replace("$id: ID!", "$id: [ID!]!")

    async def statements(wanted: list[str]) -> int:
        api.served.clear()
        nodes = (await api.data(query, STAFF, id=wanted))["nodes"]
        assert all(node["candidates"] for node in nodes)
        return len(api.served)

    assert await statements(ids) == await statements(ids[:1])


async def test_evidence_is_a_waterfall(api: Api) -> None:
    li = await api.join("shop", "c-1", phone=PHONE, name="李雷")
    han = await api.join("hotel", "g-1", name="李雷")
    proposal = Proposal(
        account_id=han.account_id,
        candidate_id=li.member_id,
        score=7.5,
        evidence={
            "weights": [{"field": "name", "level": "equal", "weight": 7.5}],
            "vetoes": ["birthday"],
        },
    )
    async with api.engine.begin() as db:
        await propose(db, proposals=[proposal], now=now())
    shown = (await api.data(SIDES, STAFF, id=await only(api)))["node"]
    assert (shown["reason"], shown["score"]) == ("BATCH_MATCH", 7.5)
    assert shown["candidates"][0]["evidence"] == {
        "score": 7.5,
        "weights": [{"field": "name", "level": "equal", "weight": 7.5}],
        "vetoes": ["birthday"],
    }


async def test_points_and_tiers_go_with_the_account_that_is_split_off(api: Api) -> None:
    li = await api.join("shop", "c-1", phone=PHONE, name="李雷")
    guest = await api.join("hotel", "g-1", phone=PHONE)
    assert guest.member_id == li.member_id
    await api.buy(li, "shop", 50)
    await api.buy(guest, "hotel", 1200)
    async with api.engine.begin() as db:
        await db.execute(
            text("""
              INSERT INTO review_item (account_id, reason, candidates, opened_at)
              VALUES (:account, 'shared_identifier', ARRAY[CAST(:li AS bigint)], :now)"""),
            {"account": guest.account_id, "li": li.member_id, "now": now() - timedelta(days=1)},
        )
    review = await only(api)
    done = await decide(api, STAFF, "rejectReview", review)
    assert done["review"]["decision"] == "split_off"

    async def standing() -> dict[str, tuple[int, str]]:
        query = """query ($id: [ID!]!) { nodes(ids: $id) {
          ... on Member { number balance { posted } tier { code } } } }"""
        async with api.engine.connect() as db:
            ids = await db.scalars(
                text("SELECT DISTINCT account_holder(account_id) FROM account ORDER BY 1")
            )
            nodes = [gid("Member", one) for one in ids]
            assert await verify(db) == []
        found = (await api.data(query, STAFF, id=nodes))["nodes"]
        return {one["number"]: (one["balance"]["posted"], one["tier"]["code"]) for one in found}

    after = await standing()
    assert after[str(li.member_id)] == (50, "iron")
    assert sorted(after.values()) == [(50, "iron"), (1200, "silver")]
    await decide(api, STAFF, "undoReview", review)
    assert await standing() == {str(li.member_id): (1250, "silver")}
    await decide(api, STAFF, "markNotTheSame", review)
    assert await standing() == after


async def test_nobody_in_a_pool_is_merged(api: Api, pair: tuple[Person, Person]) -> None:
    li, _ = pair
    review = await only(api)
    async with api.engine.begin() as db:
        await db.execute(
            text("""
              INSERT INTO pool (pool_id, opened_by, opened_at, idempotency_key, code)
              VALUES (50, :li, now(), 'k', 'abcdefghijklmnopqrst')"""),
            {"li": li.member_id},
        )
        await db.execute(
            text("INSERT INTO pool_member (member_id, pool_id, joined_at) VALUES (:li, 50, now())"),
            {"li": li.member_id},
        )
    refused = await decide(api, STAFF, "acceptReview", review)
    assert refused == {"__typename": "ReviewRefused", "reason": "IN_POOL"}
    assert await only(api) == review
