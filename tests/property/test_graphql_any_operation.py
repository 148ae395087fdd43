"""Whatever fits the schema is answered: with data, or with an error that the caller can act on.

schemathesis makes the operations, one for each field of Query and Mutation at a time; values are
those of the world below, and the ends of what their types allow.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from graphql_schema.schema import build_schema
from hub.crypto.tokens import Principal
from tests.integration.api_kit import FINANCE, SHOP, STAFF, Api, open_group, running_api
from tests.integration.test_graphql_card import gid
from tests.property.test_graphql_plans import people
from tests.support import stack

EXAMPLES = int(os.environ.get("HUB_OPERATIONS_EXAMPLES", "2"))
OURS = ("internal", "too_slow")
"""What no caller's operation may be answered with: the hub is at fault."""

# Members are numbered from one in a database of its own, and so is all that they have.
IDS = [
    *(gid("Member", number) for number in (1, 2, 3, 999)),
    *(gid(type_, "1.1") for type_ in ("Account", "Lot", "Hold", "Adjustment")),
    gid("Entry", "1.1.1"),
    gid("ReviewItem", 1),
    gid("Business", "shop"),
    gid("SettlementPeriod", "2026-01"),
    gid("Member", 2**63),
    gid("Nothing", 1),
    "",
    "!",
]
WORDS = [
    "shop", "hotel", "diner", "2026-01", "2026-13", "csv", "CNY", "USD", "c-1", "room-upgrade",
    "missing_at_hub", "open", "+8613910203040", "lei@example.com", "1", "-1", "once", "",
    " ", "\0", "\ud7ff", "😀", "%", "'", "x" * 5000, "WzFd", "WzEsMV0",
]  # fmt: skip
INSTANTS = [
    "2026-01-01T00:00:00+08:00", "2020-02-29T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
]  # fmt: skip
DAYS = ["2026-01-01", "2026-01-31", "0001-01-01", "9999-12-31", "2020-02-29"]
EXACT = ["1", "0", "-1", "0.008", "0.0000000001", "1E+400", "-1E-400", "NaN", "-Infinity", "9" * 60]
WHOLE = [0, 1, -1, 2, 100, 101, 10_000, 2**31 - 1, -(2**31)]
LONG = [*WHOLE, 2**31, 2**53 - 1, 1 - 2**53]
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "ID": st.sampled_from(IDS).map(nodes.String),
    "String": (st.sampled_from(WORDS) | st.text(max_size=20)).map(nodes.String),
    "DateTime": st.sampled_from(INSTANTS).map(nodes.String),
    "Date": st.sampled_from(DAYS).map(nodes.String),
    "Decimal": st.sampled_from(EXACT).map(nodes.String),
    "Int": st.sampled_from(WHOLE).map(nodes.Int),
    "Long": st.sampled_from(LONG).map(nodes.Int),
    "JSON": st.sampled_from(WORDS).map(nodes.String),
}
for _name, _values in SCALARS.items():
    schemathesis.graphql.scalar(_name, _values)

OPERATIONS = {
    one.label: one
    for made in schemathesis.graphql.from_file(build_schema().as_str()).get_all_operations()
    if (one := made.ok()) is not None
}


@dataclass(frozen=True, slots=True)
class World:
    """A small group behind the web application, and who may ask."""

    runner: asyncio.Runner
    api: Api
    callers: list[Principal | None]


@pytest.fixture(scope="module")
def world(postgres_url: str, template: str, valkey_url: str, scratch: Path) -> Iterator[World]:
    with asyncio.Runner() as runner, stack.lasting_database(postgres_url, template) as url:
        runner.run(open_group(url))
        place = scratch / "operations"
        place.mkdir()
        held = AsyncExitStack()
        api = runner.run(
            held.enter_async_context(running_api(url, valkey_url, place, cost_per_minute=0))
        )
        known = runner.run(people(api))
        yield World(runner, api, [known[0].principal, SHOP, STAFF, FINANCE, None])
        runner.run(held.aclose())


@pytest.mark.parametrize("label", OPERATIONS)
def test_no_operation_is_a_fault_of_the_hub(world: World, label: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy(), who=st.sampled_from(world.callers))
    def ask(case: Any, who: Principal | None) -> None:
        answer = world.runner.run(world.api.ask(case.body, who))
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert not codes & set(OURS), case.body

    ask()
