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

import graphql
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

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
SCALARS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "ID": ("String", st.sampled_from(IDS)),
    "String": ("String", st.sampled_from(WORDS) | st.text(max_size=20)),
    "DateTime": ("String", st.sampled_from(INSTANTS)),
    "Date": ("String", st.sampled_from(DAYS)),
    "Decimal": ("String", st.sampled_from(EXACT)),
    "Int": ("Int", st.sampled_from(WHOLE)),
    "Long": ("Int", st.sampled_from(LONG)),
    "JSON": ("String", st.sampled_from(WORDS)),
}
"""The literal that writes a scalar's values, and the values."""
SCHEMA = build_schema().as_str()


def labels() -> list[str]:
    """The fields to ask for, each with its type's name."""
    parsed = graphql.build_schema(SCHEMA, assume_valid=True)
    roots = [parsed.query_type, parsed.mutation_type]
    return [f"{root.name}.{field}" for root in roots if root for field in root.fields]


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """What makes operations, by label. Only who runs this test waits for it."""
    import schemathesis
    from schemathesis.graphql import nodes

    for name, (literal, values) in SCALARS.items():
        schemathesis.graphql.scalar(name, values.map(getattr(nodes, literal)))
    made = [one.ok() for one in schemathesis.graphql.from_file(SCHEMA).get_all_operations()]
    return {one.label: one for one in made if one is not None}


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


@pytest.mark.parametrize("label", labels())
def test_no_operation_is_a_fault_of_the_hub(
    world: World, operations: dict[str, Any], label: str
) -> None:
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operations[label].as_strategy(), who=st.sampled_from(world.callers))
    def ask(case: Any, who: Principal | None) -> None:
        answer = world.runner.run(world.api.ask(case.body, who))
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert not codes & set(OURS), case.body

    ask()
