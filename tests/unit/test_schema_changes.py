"""What breaks those who use the API is found, and what does not is let pass."""

import pytest

from graphql_schema.changes import PROMISED, breaking, dangerous
from graphql_schema.export import sdl

BEFORE = """
enum Kind { a b }
type Query { member(id: ID!, kind: Kind): Member }
type Member { number: String! balance: Int! }
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("balance: Int!", "", "Field Member.balance was removed"),
        ("balance: Int!", "balance: Int", "Field Member.balance changed type"),
        ("balance: Int!", "balance: String!", "Field Member.balance changed type"),
        ("id: ID!", "id: ID!, business: ID!", "A required argument Query.member(business:)"),
        ("kind: Kind", "kind: Kind!", "Argument Query.member(kind:) has changed type"),
        ("enum Kind { a b }", "enum Kind { a }", "Enum value Kind.b was removed"),
    ],
)
def test_what_is_taken_away_or_asked_for_breaks(old: str, new: str, said: str) -> None:
    assert any(told.startswith(said) for told in breaking(BEFORE, BEFORE.replace(old, new)))


def test_what_is_added_breaks_nothing() -> None:
    more = BEFORE.replace("balance: Int!", "balance: Int! tier: String").replace("a b", "a b c")
    assert breaking(BEFORE, more) == []
    assert len(dangerous(BEFORE, more)) == 1


def test_what_was_promised_is_kept() -> None:
    assert breaking(PROMISED.read_text(), sdl()) == []
