"""Requests that end at any moment leave nothing on a connection that the next caller would find.

Callers of every role ask beside each other over few connections; requests are given up at random
moments, as when a client hangs up, and by time limits.
"""

import asyncio
import os
from collections.abc import Sequence
from random import Random
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette

from hub.crypto.tokens import Principal
from hub.entrypoints.web_state import State
from hub.ledger.verify import verify
from tests.integration.api_kit import DINER, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid
from tests.integration.test_graphql_hardening import Serving, serving
from tests.integration.test_graphql_tills import REDEEM, by_id, meet

__all__ = ["serving"]

TURNS = int(os.environ.get("HUB_GIVEN_UP_TURNS", "200"))
AT_ONCE = 16  # more than there are connections
SEEN = "number displayName phone balance { posted } lots { id } entries { nodes { id } }"
MANY = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Member {{ {SEEN} }} }} }}"
LIST = "{ members { nodes { number displayName } } }"
ALL = (f"{{ me {{ {SEEN} }} }}", f"{{ me {{ {SEEN} entitlementHistory {{ kind }} }} }}", LIST, MANY)
Ask = tuple[str, Principal, dict[str, Any]]
LEFT = text("""SELECT current_setting('role'), current_setting('hub.members', true),
  current_setting('hub.business_id', true), current_setting('hub.presented', true),
  current_setting('transaction_isolation')""")


async def _asks(api: Api) -> tuple[list[Ask], Person]:
    people = []
    for n, business in enumerate(["shop", "hotel", "diner", "shop"]):
        name = f"Somebody {n}"
        one = await api.join(business, f"x-{n}", phone=f"+861391020304{n}", name=name)
        await api.buy(one, business, 100 + n)
        people.append(one)
    *asking, spending = people
    ids = [gid("Member", one.member_id) for one in asking]
    who = [*(one.principal for one in asking), SHOP, HOTEL, DINER, STAFF]
    asks = [(query, one, {"ids": ids} if query == MANY else {}) for one in who for query in ALL]
    return asks, spending


def _state(api: Api) -> State:
    assert isinstance(api.app.app, Starlette)
    state: State = api.app.app.state.hub
    return state


async def _answers(api: Api, asks: Sequence[Ask]) -> list[Any]:
    return [await api.ask(query, who, **given) for query, who, given in asks]


async def _whole(engine: AsyncEngine) -> int:
    """Return how many connections can be taken at once; nobody is left on any of them."""
    taken, most = [], engine.pool.size()  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        for _ in range(most):
            taken.append(await engine.raw_connection())
        for one in taken:
            driver: Any = one.driver_connection
            role, *left = await driver.fetchrow(LEFT.text)
            assert one.info.get("role", role) == role
            assert not any(left[:3])
            assert left[3] == "read committed"
            assert not driver.is_in_transaction()
            one.close()
    return len(taken)


async def test_who_gives_up_leaves_nothing_to_the_next(serving: Serving, api: Api) -> None:
    asks, spending = await _asks(api)
    random = Random(7)
    spend = {"member": by_id(spending), "points": 1}
    keys = [f"k{n}" for n in range(40)]
    outcomes: dict[str, int] = {"answered": 0, "given up": 0, "too slow": 0}

    async with serving(operation_seconds=0.02) as hasty:
        await meet(api, SHOP)
        true = await _answers(api, asks)
        assert true == await _answers(api, asks)

        async def one(turn: int) -> None:
            at = hasty if turn % 4 == 0 else api
            if turn % 10 == 1:
                given = {**spend, "idempotencyKey": random.choice(keys)}
                asked = api.ask(REDEEM, SHOP, input=given)
                expected: Any = None
            else:
                chosen = random.randrange(len(asks))
                query, who, variables = asks[chosen]
                asked, expected = at.ask(query, who, **variables), true[chosen]
            task = asyncio.create_task(asked)
            if turn % 2:
                await asyncio.sleep(random.expovariate(1 / 0.03))
                task.cancel()
            try:
                answer = await task
            except asyncio.CancelledError:
                outcomes["given up"] += 1
                return
            if answer == expected or (expected is None and "errors" not in answer):
                outcomes["answered"] += 1
                return
            assert at is hasty, answer
            assert answer["errors"][0]["extensions"]["code"] == "too_slow", answer
            outcomes["too slow"] += 1

        async def client(turns: range) -> None:
            for turn in turns:
                await one(turn)

        async with asyncio.timeout(120), asyncio.TaskGroup() as clients:
            for n in range(AT_ONCE):
                clients.create_task(client(range(n, TURNS, AT_ONCE)))

        assert min(outcomes.values()) > TURNS / 40, outcomes
        for served in (api, hasty):
            state = _state(served)
            state.turns.close()
            for engine in (state.readers, state.engine):
                assert await _whole(engine) == engine.pool.size()  # type: ignore[attr-defined]
        assert true == await _answers(api, asks)
    for key in keys:
        await api.data(REDEEM, SHOP, input={**spend, "idempotencyKey": key})
    async with api.engine.connect() as db:
        held = text("SELECT posted FROM balance WHERE member_id = :member_id AND unit = 1")
        posted = await db.scalar(held, {"member_id": spending.member_id})
        assert posted == 103 - len(keys)
        assert await verify(db) == []
