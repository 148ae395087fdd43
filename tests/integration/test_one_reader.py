"""The branches of an operation share a connection: one that fails takes nothing from another."""

import asyncio
import contextlib
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.clock import now
from tests.integration.api_kit import SHOP, STAFF, Api, Person
from tests.integration.test_graphql_hardening import Serving, serving
from tests.support.waiting import until

__all__ = ["serving"]

HISTORY = "entitlementHistory { kind }"


@pytest.fixture
async def li(api: Api) -> Person:
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


async def test_a_branch_that_is_given_up_leaves_the_others_their_connection(
    api: Api, li: Person
) -> None:
    async with api.context(STAFF, at=now()) as context:

        async def wait() -> None:
            async with context.reading() as db:
                await db.execute(text("SELECT pg_sleep(60)"))

        given_up = asyncio.create_task(wait())
        await until(api.engine, waiting=1)
        other = asyncio.ensure_future(context.load.benefit_movements.load(li.member_id))
        given_up.cancel()
        async with asyncio.timeout(30):
            assert await other == []
    await until(api.engine, waiting=0)


async def test_a_branch_that_fails_leaves_the_others_what_they_ask(api: Api, li: Person) -> None:
    async with api.context(STAFF, at=now()) as context:
        with pytest.raises(DBAPIError):
            async with context.reading() as db:
                await db.execute(text("SELECT 1 / 0"))
        assert await context.load.benefit_movements.load(li.member_id) == []


async def test_what_takes_too_long_ends_in_the_database_too(
    serving: Serving, api: Api, li: Person
) -> None:
    """By a plan, and by what resolvers share."""
    queries = [f"{{ me {{ {field} }} }}" for field in ("balance { posted }", HISTORY)]
    async with serving(operation_seconds=0.8) as hasty, api.engine.begin() as db:
        for query in queries:
            await hasty.data(query, li.principal)
        await db.execute(text("LOCK TABLE balance, entitlement_entry IN ACCESS EXCLUSIVE MODE"))
        async with asyncio.timeout(20):
            asked: list[Any] = [hasty.ask(query, li.principal) for query in queries]
            *answers, _ = await asyncio.gather(*asked, until(api.engine, waiting=len(queries)))
        for answer in answers:
            assert answer["errors"][0]["extensions"]["code"] == "too_slow"
        await until(api.engine, waiting=0)
        await db.rollback()
        for query in queries:
            assert (await hasty.data(query, li.principal))["me"]


@pytest.mark.parametrize("verb", ["redeem", "hold"])
async def test_who_holds_a_connection_waits_for_no_other(
    serving: Serving, api: Api, li: Person, verb: str
) -> None:
    """Tills that read what a number without a country may be, more than connections, at once."""
    await api.buy(li, "shop", 800)
    write = f"mutation ($input: {verb.title()}Input!) {{ {verb}(input: $input) {{ __typename }} }}"
    asked = {"member": {"phone": "13910203040"}, "points": 1}
    async with serving(operation_seconds=5) as cold:
        answers = await asyncio.gather(
            *(cold.data(write, SHOP, input={**asked, "idempotencyKey": f"k{n}"}) for n in range(20))
        )
    assert {one[verb]["__typename"] for one in answers} == {
        {"redeem": "Redeemed"}.get(verb, "Held")
    }


async def test_who_looks_at_the_set_up_waits_for_no_other(api: Api, li: Person) -> None:
    """As many as there are connections each hold one, and each are to have the set-up read."""
    async with contextlib.AsyncExitStack() as held, asyncio.timeout(30):
        contexts = [await held.enter_async_context(api.context(STAFF, at=now())) for _ in range(8)]
        for one in contexts:
            assert await one.load.benefit_movements.load(li.member_id) == []
        assert "Current Overflow: 0 Current Checked out connections: 8" in api.readers.pool.status()
        assert await asyncio.gather(*(one.setup() for one in contexts))
