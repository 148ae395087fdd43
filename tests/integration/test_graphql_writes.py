"""A write that a plan answers is done once, in few statements, and says what resolvers would."""

import asyncio
from typing import Any

import pytest

from tests.integration.api_kit import SHOP, STAFF, Api, Person
from tests.integration.test_graphql_tills import HOLD, REDEEM, meet

PHONE = {"phone": "+8613910203040"}


@pytest.fixture
async def li(api: Api) -> Person:
    """A person known at the shop with 1,000 points."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    await api.buy(li, "shop", 1000)
    return li


def _asked(key: str, points: int = 300) -> dict[str, Any]:
    return {"member": PHONE, "points": points, "idempotencyKey": key}


def _redemptions(api: Api) -> int:
    asked = ("ledger_redeem(", "redeem_at_till(")
    return sum(any(one in statement for one in asked) for statement in api.served)


async def test_a_redemption_takes_one_statement_beside_its_plans(api: Api, li: Person) -> None:
    schema = api.app.app.state.hub.schema
    before = schema.writes.answered
    done = await api.data(REDEEM, SHOP, input=_asked("k-1"))
    assert done["redeem"]["member"]["balance"] == {"available": 700, "posted": 700, "held": 0}
    declined = await api.data(REDEEM, SHOP, input=_asked("k-2", 701))
    assert declined["redeem"]["available"] == 700
    assert schema.writes.answered == before + 2
    await asyncio.sleep(0)  # the driver tells of its statements in the loop's next turn
    # How the programme is set up is read once, before the first.
    assert len(api.served) - 1 == _redemptions(api) == 2


@pytest.mark.parametrize(
    "of_member",
    [
        "consents { purpose }",  # which has no plan
        "displayName(masked: false)",  # which is refused
        "entries(first: 0) { nodes { points } }",  # which cannot be
        "balance { available } second: balance { posted }",
    ],
)
async def test_whoever_words_its_answer_it_is_done_once(
    api: Api, li: Person, of_member: str
) -> None:
    query = REDEEM.replace("member {", f"member {{ {of_member}", 1)
    await meet(api, SHOP)
    api.served.clear()
    await api.ask(query, SHOP, input=_asked("k-1"))
    assert _redemptions(api) == 1
    balance = await api.data(REDEEM, SHOP, input=_asked("k-2", 1))
    assert balance["redeem"]["member"]["balance"]["available"] == 699


async def test_what_fails_is_not_done_again_to_word_the_failure(api: Api, li: Person) -> None:
    async with api.engine.begin() as db:
        await db.exec_driver_sql("ALTER FUNCTION ledger_redeem RENAME TO ledger_redeem_away")
    assert await api.code(REDEEM, SHOP, input=_asked("k-1")) == "internal"
    assert _redemptions(api) == 1
    assert await api.code(REDEEM, STAFF, input={**_asked("k-1"), "member": {}}) == "bad_request"


async def test_two_writes_are_two_transactions_and_a_role_is_refused(api: Api, li: Person) -> None:
    both = "mutation ($input: RedeemInput!, $more: RedeemInput!) {"
    both += " a: redeem(input: $input) { __typename } b: redeem(input: $more) { __typename } }"
    done = await api.data(both, SHOP, input=_asked("k-1"), more=_asked("k-2", 800))
    assert [one["__typename"] for one in done.values()] == ["Redeemed", "InsufficientPoints"]
    for query in (REDEEM, HOLD):
        refused = await api.data(query, STAFF, input=_asked("k-3"))
        assert [one["__typename"] for one in refused.values()] == ["Forbidden"]
    assert await api.code(REDEEM, None, input=_asked("k-3")) == "unauthenticated"
