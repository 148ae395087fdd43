"""What an operation costs, by whatever is sent as the sizes of its pages."""

from typing import Any

import graphql
import pytest

from graphql_schema.plan.plans import Known
from graphql_schema.schema import build_schema

SCHEMA = build_schema()._schema
ASKED = """query ($n: Int = 50) {
  me { entries(first: $n) { nodes { points } } } members { nodes { number } } }"""


def known_of(query: str) -> Known:
    document = graphql.parse(query)
    operation = graphql.get_operation_ast(document)
    assert operation is not None
    return Known(document, operation)


def price_of(query: str, *sent: dict[str, Any]) -> list[int]:
    known = known_of(query)
    return [known.price(SCHEMA, one) for one in sent]


@pytest.mark.parametrize(
    ("size", "alike"),
    [(-1_000_000, 0), (100.0, 100), (10**12, 100), (1e300, 100), ("x" * 50_000, None)],
)
def test_a_size_counts_as_the_page_that_it_can_ask_for(size: object, alike: int | None) -> None:
    one, other = price_of(ASKED, {"n": size}, {"n": alike})
    assert one == other
    if isinstance(size, int):
        # Written out it is the same, and takes nothing off what stands beside it.
        assert price_of(ASKED.replace("first: $n", f"first: {size}"), {}) == [one]
        assert one >= price_of("{ members { nodes { number } } }", {})[0]


def test_a_size_that_is_not_sent_is_the_documents_own() -> None:
    null, unsent, same = price_of(ASKED, {"n": None}, {}, {"n": 50})
    assert null < unsent == same
    assert price_of(ASKED, {}, {"n": None}) == [unsent, null]


def test_each_node_that_is_asked_for_counts() -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }"
    assert price_of(query, {"ids": ["x"] * 3}, {"ids": ["x"] * 1000}) == [7, 201]
    assert price_of(query.replace("]!)", ']! = ["x", "x"])'), {}) == [5]
    assert price_of('{ nodes(ids: ["x", "x", "x"]) { id __typename } }', {}) == [7]


def test_nothing_of_what_was_sent_is_kept_but_sizes() -> None:
    known = known_of(ASKED)
    for number in range(5):
        known.price(SCHEMA, {"n": "x" * 50_000 + str(number), "m": number})
    assert len(known._prices) == 1
