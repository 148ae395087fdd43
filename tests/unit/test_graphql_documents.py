"""A document is read as graphql-core reads it, only once; what is too large is not looked into."""

import pytest
from graphql import GraphQLError, parse, validate

from graphql_schema.documents import MOST_DOCUMENTS, MOST_TOKENS, Documents
from graphql_schema.schema import build_schema

UNFIT = [
    "{ me { nothing } }",
    "{ me { id } me { id: number } }",
    "query ($a: Int) { me { id } }",
    "query ($a: [Strin]) { me(x: $a) { id ...a } } fragment a on Member { ...a }",
    "mutation { redeem { points } }",
    "subscription { balanceChanged { balance { available } } tierChanged { tier { code } } }",
]


@pytest.fixture
def documents() -> Documents:
    return Documents(build_schema()._schema, (), hide_suggestions=True)


@pytest.mark.parametrize("query", [*UNFIT, "{ me { id ... on Node { id } } }"])
def test_what_is_wrong_is_what_graphql_core_finds(documents: Documents, query: str) -> None:
    for _ in range(2):  # a rule remembers what it does not look at
        known = validate(build_schema()._schema, parse(query), hide_suggestions=True)
        found = Documents(build_schema()._schema, (), hide_suggestions=True).read(query).wrong
        assert [one.formatted for one in found] == [one.formatted for one in known]
        assert bool(found) == (query in UNFIT)


def test_what_is_too_large_is_told_so_and_no_more(documents: Documents) -> None:
    deep = f"{{ {'me { ' * 20}nothing{' }' * 20} }}"
    assert [one.message for one in documents.read(deep).wrong] == ["more than 12 levels of depth"]
    with pytest.raises(GraphQLError, match="token"):
        documents.read(f"{{ {'id ' * MOST_TOKENS}}}")


def test_the_latest_are_kept(documents: Documents) -> None:
    first = documents.read("{ __typename }")
    assert documents.read("{ __typename }") is first
    for n in range(MOST_DOCUMENTS):
        documents.read(f"{{ a{n}: __typename }}")
    assert documents.read("{ __typename }") is not first
