"""Whatever fits the tills' document, and what does not, is answered as the document says.

schemathesis makes the bodies. They are signed as a till signs them, so that they are looked at.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi import checks

from hub.entrypoints import till_openapi
from tests.integration.api_kit import Api, open_group, running_api
from tests.integration.test_graphql_carts import guest
from tests.integration.test_tills_http import connect_till, signed
from tests.support import stack

EXAMPLES = int(os.environ.get("HUB_TILLS_EXAMPLES", "8"))
HOLDS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(till_openapi.document())
OPERATIONS = {
    one.label: one for made in SCHEMA.get_all_operations() if (one := made.ok()) is not None
}
# What the world below knows, so that requests get somewhere.
KEYS = st.sampled_from(["k-1", "k-2", "k-3"])
MEMBERS = st.sampled_from([None, {"phone": "+8613910203040"}, {"phone": "+8613910200000"}])
PRICES, UNITS, POINTS = st.integers(0, 9_999), st.integers(1, 3), st.sampled_from([0, 100])
NAMES = st.none() | st.lists(st.sampled_from(["dessert", "massage", "x"]), max_size=3)


@pytest.fixture(scope="module")
def world(
    postgres_url: str, template: str, valkey_url: str, scratch: Path
) -> Iterator[tuple[asyncio.Runner, Api]]:
    """A diner with a till, and a guest who has something to use."""
    with asyncio.Runner() as runner, stack.lasting_database(postgres_url, template) as url:
        runner.run(open_group(url))
        place = scratch / "tills"
        place.mkdir()
        held = AsyncExitStack()
        api = runner.run(held.enter_async_context(running_api(url, valkey_url, place)))
        runner.run(guest(api))
        runner.run(connect_till(api))
        yield runner, api
        runner.run(held.aclose())


def fitting(body: Any, draw: Any) -> Any:
    """Return a body that the world knows something of, where it has a place for it."""
    for name in ("key", "refund_key"):
        if name in body:
            body[name] = draw(KEYS)
    if body.get("cart"):
        lines = [
            {"id": str(place), "unit_price_minor": draw(PRICES), "quantity": draw(UNITS)}
            for place, _ in enumerate(body["cart"]["lines"][:3])
        ]
        fits = {"lines": lines, "currency": "CNY", "member": draw(MEMBERS), "vouchers": None}
        body["cart"] |= {**fits, "benefits": draw(NAMES), "points": draw(POINTS)}
        body.pop("payable_minor", None)
    if body.get("lines"):
        body["lines"] = [{"id": "0", "quantity": 1}]
    return body


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_as_the_document_says(
    world: tuple[asyncio.Runner, Api], label: str, mode: GenerationMode
) -> None:
    runner, api = world

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode), data=st.data())
    def ask(case: Any, data: st.DataObject) -> None:
        if mode is GenerationMode.POSITIVE and data.draw(st.integers(0, 3)):
            case.body = fitting(case.body, data.draw)
        content = b"" if case.body is NOT_SET else json.dumps(case.body, default=str).encode()
        path = f"/tills/pos/{label.rpartition('/')[2]}"
        answer = runner.run(api.client.post(path, content=content, headers=signed(content)))
        case.validate_response(answer, checks=HOLDS)

    ask()


def test_the_document_is_valid() -> None:
    SCHEMA.validate()
