"""Whatever is asked, plan and resolvers answer with the same bytes, errors and nulls included."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import graphql
import orjson
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import queries
from sqlalchemy import text

from graphql_schema.schema import build_schema
from hub.clock import now
from hub.crypto.tokens import Principal
from tests.integration.api_kit import (
    DINER,
    FINANCE,
    HOTEL,
    SHOP,
    STAFF,
    Api,
    Person,
    open_group,
    running_api,
)
from tests.integration.test_graphql_card import gid
from tests.support import stack
from tests.support.plans import SCALARS, Both, planned_schema, varied
from tests.support.writes import mutations

EXAMPLES = int(os.environ.get("HUB_PLANS_EXAMPLES", "40"))
ROOTS = ("me", "member", "members")
PLANNED = planned_schema(build_schema(), ROOTS)
WHOLE = graphql.build_schema(build_schema().as_str())
HISTORY = """query ($id: ID!) { member(id: $id) {
  entries { edges { cursor } } lots { id } holds { id } } }"""


@dataclass(frozen=True, slots=True)
class World:
    """A small group with members of many kinds, and who may ask about them."""

    runner: asyncio.Runner
    both: Both
    callers: list[Principal | None]
    known: dict[str, list[str]]
    at: datetime


@pytest.fixture(scope="module")
def world(postgres_url: str, template: str, valkey_url: str, scratch: Path) -> Iterator[World]:
    with asyncio.Runner() as runner, stack.lasting_database(postgres_url, template) as url:
        runner.run(open_group(url))
        place = scratch / "plans"
        place.mkdir()
        held = AsyncExitStack()
        api = runner.run(held.enter_async_context(running_api(url, valkey_url, place)))
        group = runner.run(people(api))
        both = Both(api.engine, api.readers, api.keyring)
        known = runner.run(_known(both, group))
        callers = [
            *(one.principal for one in group),
            STAFF,
            SHOP,
            HOTEL,
            DINER,
            FINANCE,
            None,
        ]
        yield World(runner, both, callers, known, now())
        runner.run(held.aclose())


async def people(api: Api) -> list[Person]:
    """Somebody with all there is, in a pool and in debt; one who has nothing; one merged away."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷", email="lei@example.com")
    again = await api.join("hotel", "g-1", phone="+8613910203040", name="Li Lei")
    await api.buy(li, "shop", 800)
    await api.buy(Person(member_id=li.member_id, account_id=again.account_id), "hotel", 400)
    han = await api.join("diner", "d-1", email="han@example.com", name="Han Meimei")
    await api.buy(han, "diner", 70, days_ago=300)
    gone = await api.join("diner", "d-2", email="old@example.com")
    inputs = (
        ("redeem", "Redeem", SHOP, {"member": {"id": gid("Member", li.member_id)}, "points": 100}),
        ("hold", "Hold", HOTEL, {"member": {"id": gid("Member", li.member_id)}, "points": 30}),
        ("openPool", "Pool", li.principal, {}),
        ("contributeToPool", "Contribute", li.principal, {"points": 50}),
    )
    for verb, type_, who, facts in inputs:
        query = f"mutation ($input: {type_}Input!) {{ {verb}(input: $input) {{ __typename }} }}"
        await api.data(query, who, input={**facts, "idempotencyKey": "once"})
    async with api.engine.begin() as db:
        for statement in (
            "UPDATE member SET status = 'merged', merged_into = :now WHERE member_id = :gone",
            """INSERT INTO expiry_notice (member_id, points, given_at, expires_on, unit, days_ahead,
                 state)
               SELECT :now, 5, now(), current_date + 5, 1, 7, 'given' WHERE :gone > 0""",
        ):
            await db.execute(text(statement), {"now": li.member_id, "gone": gone.member_id})
    return [li, han, gone]


async def _known(both: Both, people: list[Person]) -> dict[str, list[str]]:
    ids = [gid("Member", one.member_id) for one in people]
    cursors, holds = ["nonsense"], [gid("Hold", 1), "nonsense"]
    for id_ in tuple(ids):
        answer, _ = await both.ask(HISTORY, STAFF, at=now(), id=id_)
        member = orjson.loads(answer)["data"]["member"]
        cursors += [edge["cursor"] for edge in member["entries"]["edges"]]
        ids += [one["id"] for one in member["lots"]]
        holds += [one["id"] for one in member["holds"]]
    more = [gid("Member", 999_999), gid("Business", "shop"), "nonsense"]
    known = {"people": ids[:1] * 3 + ids[:3] + more, "holds": holds * 2}
    return {
        **known,
        "id": [*ids, *more],
        "business": ["shop", "hotel", "nowhere"],
        "cursor": cursors,
    }


def _agree(world: World, document: graphql.DocumentNode, data: Any) -> tuple[bytes, bool, str]:
    query, variables = varied(document, data.draw, world.known)
    who = data.draw(st.sampled_from(world.callers))
    answer, planned = world.runner.run(world.both.ask(query, who, at=world.at, **variables))
    event("planned" if planned else "left to resolvers")
    return answer, planned, query


def _keep(document: graphql.DocumentNode) -> graphql.DocumentNode:
    return document


# Not shrunk: that takes minutes, and the operation that fails is shown as it was sent.
EACH = settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@EACH
@given(data=st.data())
def test_of_what_compiles_a_plan_says_what_resolvers_say(world: World, data: Any) -> None:
    asked = queries(PLANNED, fields=ROOTS, custom_scalars=SCALARS, print_ast=_keep)
    answer, planned, query = _agree(world, data.draw(asked), data)
    # Of the past nothing is planned; wrong arguments are no error where nobody is found.
    left = b"null" in answer or 'asOf: "' in query
    assert planned or left or orjson.loads(answer)["errors"], query


@EACH
@given(data=st.data())
def test_with_neighbours_that_do_not_compile_nothing_changes(world: World, data: Any) -> None:
    asked = queries(WHOLE, fields=(*ROOTS, "programme", "nodes"), custom_scalars=SCALARS,
                    print_ast=_keep)  # fmt: skip
    _agree(world, data.draw(asked), data)


@EACH
@given(data=st.data())
def test_a_write_is_answered_as_by_resolvers_whoever_does_it_first(world: World, data: Any) -> None:
    query, variables = data.draw(mutations(world.known))
    # Mostly tills, and the member who has points.
    who = data.draw(st.sampled_from([*[SHOP, HOTEL, world.callers[0]] * 4, *world.callers]))
    first = data.draw(st.booleans())
    asked = world.both.ask(query, who, at=world.at, planned_first=first, **variables)
    answer, planned = world.runner.run(asked)
    event("planned" if planned else "left to resolvers")
    done = orjson.loads(answer)["data"] or {}
    event(next((one["__typename"] for one in done.values() if isinstance(one, dict)), "error"))
