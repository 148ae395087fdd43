"""Mutations at random, whose keys make them answer the same however often they are sent."""

from typing import Any

from hypothesis import strategies as st

ANSWERS = {
    "redeem": ("Redeem", "Redeemed", ["transaction", "points", "again: points"]),
    "hold": ("Hold", "Held", ["hold { id points open expiresAt }", "hold { business { code } }"]),
    "redeemFromPool": ("Redeem", "RedeemedFromPool", ["transaction"]),
    "transfer": ("Transfer", "Transferred", ["transaction", "points"]),
    "useEntitlement": ("UseEntitlement", "EntitlementUsed", ["remaining", "usedAt"]),
    "capture": ("EndHold", "Captured", ["points", "hold { remaining }"]),
}
KEYS = [*map(str, range(40)), ""]
REFUSALS = [
    "__typename",
    "... on Rejection { message }",
    "... on InsufficientPoints { a: available message }",
    "... on InvalidInput @include(if: $yes) { field }",
]
OF_MEMBER = [
    "__typename id number",
    "balance { available held @skip(if: $yes) }",
    "tier { code }",
    "displayName",
    "accounts { id business { code } }",
    "entries(first: $n) { nodes { points } }",
    "lots { remaining }",
    # What only resolvers answer, and what they refuse.
    "consents { purpose }",
    "displayName(masked: false)",
    "entries(first: 0) { nodes { points } }",
]


def _some(parts: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), unique=True, max_size=4).map(" ".join)


@st.composite
def mutations(draw: st.DrawFn, known: dict[str, list[str]]) -> tuple[str, dict[str, Any]]:
    """Return a mutation of people and holds that are known, and its variables."""
    verb = draw(st.sampled_from(sorted(ANSWERS)))
    input_type, success, own = ANSWERS[verb]
    member = f"member {{ number {draw(_some(OF_MEMBER))} }}"
    chosen = f"{draw(_some(own))} {draw(st.sampled_from([member, member, '__typename']))}"
    each = draw(st.sampled_from(["", "", "__typename "]))
    query = f"""mutation ($input: {input_type}Input!, $yes: Boolean!, $n: Int) {{ {each}
      {draw(st.sampled_from(["", "said: "]))}{verb}(input: $input) {{
        __typename {draw(_some(REFUSALS))} ... on {success} {{ {chosen} }} }} }}"""
    if "$n" not in query.partition("{")[2]:
        query = query.replace(", $n: Int", "")
    if "$yes" not in query.partition("{")[2]:
        query = query.replace(", $yes: Boolean!", "")
    facts: dict[str, Any] = {"idempotencyKey": draw(st.sampled_from(KEYS))}
    if verb == "capture":
        facts["hold"] = draw(st.sampled_from(known["holds"]))
    else:
        facts["receiver" if verb == "transfer" else "member"] = draw(_member(known["people"]))
    if verb == "useEntitlement":
        facts["benefit"] = draw(st.sampled_from(["room-upgrade", "nothing"]))
    elif verb != "capture":
        facts["points"] = draw(st.sampled_from([1, 1, 2, 2, 5, 0, -1, 10_000_000]))
    if verb != "transfer":
        facts["business"] = draw(st.sampled_from([None, None, None, "shop"]))
    given = {"input": facts, "yes": draw(st.booleans()), "n": draw(st.sampled_from([1, 2, None]))}
    return query, {name: value for name, value in given.items() if f"${name}:" in query}


def _member(ids: list[str]) -> st.SearchStrategy[dict[str, str]]:
    by_id = st.sampled_from(ids).map(lambda one: {"id": one})
    presented = st.sampled_from(
        [
            {"phone": "+8613910203040"},
            {"phone": "+8613910203040"},
            {"phone": "13910203040"},
            {"email": "han@example.com"},
            {"email": ""},
            {"loyaltyId": "nobody"},
            {"phone": "1", "email": "2"},
        ]
    )
    return st.one_of(by_id, presented, presented)
