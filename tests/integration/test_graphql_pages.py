"""Pages: in whatever sizes and from whichever end, they add up to the list."""

import random
from base64 import b64decode
from typing import Any

import pytest

from tests.integration.api_kit import SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid

PAGE = """query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String,
    $business: String, $kind: EntryKind) {
  member(id: $id) { entries(first: $first, after: $after, last: $last, before: $before,
      business: $business, kind: $kind) {
    edges { cursor node { id kind points business { code } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""


@pytest.fixture
async def li(api: Api) -> Person:
    """A person with 75 entries: 30 earns of two entries each, and 15 redemptions of one."""
    li = await api.join("shop", "c-1", phone="+8613910203040")
    for n in range(30):
        await api.buy(li, "shop" if n % 3 else "hotel", 10 + n, days_ago=n)
        if n % 2:
            answer = await api.data(
                """mutation ($input: RedeemInput!) { redeem(input: $input) { __typename } }""",
                SHOP,
                input={
                    "member": {"id": gid("Member", li.member_id)},
                    "points": 1,
                    "idempotencyKey": f"r{n}",
                },
            )
            assert answer["redeem"]["__typename"] == "Redeemed"
    return li


async def page(api: Api, person: Person, **asked: Any) -> Any:
    data = await api.data(PAGE, STAFF, id=gid("Member", person.member_id), **asked)
    return data["member"]["entries"]


async def whole(api: Api, person: Person, **only: Any) -> list[Any]:
    return list((await page(api, person, first=100, **only))["edges"])


async def test_the_list_is_newest_first_and_complete(api: Api, li: Person) -> None:
    edges = await whole(api, li)
    assert len(edges) == 75
    places = [tuple(map(int, _key(edge["node"]["id"]))) for edge in edges]
    assert places == sorted(places, reverse=True)
    assert sum(e["node"]["points"] for e in edges if e["node"]["kind"] == "REDEEM") == -15


@pytest.mark.parametrize("only", [{}, {"business": "shop"}, {"kind": "REDEEM"}], ids=str)
async def test_pages_of_any_size_from_either_end_are_the_list(
    api: Api, li: Person, only: dict[str, str]
) -> None:
    expected = await whole(api, li, **only)
    dice = random.Random(7)
    for _ in range(6):
        forward: list[Any] = []
        more, after = True, None
        while more:
            got = await page(api, li, first=dice.randint(1, 30), after=after, **only)
            assert got["pageInfo"]["hasPreviousPage"] is (after is not None)
            forward += got["edges"]
            more, after = got["pageInfo"]["hasNextPage"], got["pageInfo"]["endCursor"]
        assert forward == expected
        backward: list[Any] = []
        more, before = True, None
        while more:
            got = await page(api, li, last=dice.randint(1, 30), before=before, **only)
            assert got["pageInfo"]["hasNextPage"] is (before is not None)
            backward = got["edges"] + backward
            more, before = got["pageInfo"]["hasPreviousPage"], got["pageInfo"]["startCursor"]
        assert backward == expected


async def test_both_cursors_cut_out_what_lies_between(api: Api, li: Person) -> None:
    edges = await whole(api, li)
    cut = {"after": edges[9]["cursor"], "before": edges[30]["cursor"]}
    assert (await page(api, li, first=100, **cut))["edges"] == edges[10:30]
    assert (await page(api, li, last=5, **cut))["edges"] == edges[25:30]


async def test_a_cursor_keeps_its_place_while_the_list_grows(api: Api, li: Person) -> None:
    first = await page(api, li, first=10)
    await api.buy(li, "shop", 99)
    edges = await whole(api, li)
    rest = await page(api, li, first=100, after=first["pageInfo"]["endCursor"])
    assert rest["edges"] == edges[12:]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"first": 0}, "first"),
        ({"first": 101}, "first"),
        ({"last": -1}, "last"),
        ({"first": 1, "last": 1}, "last"),
        ({"after": "?"}, "after"),
        ({"before": "WzFd"}, "before"),
        ({"after": "WzEsImEiXQ"}, "after"),
        ({"after": "WzEsOTk5OTk5OTk5OTk5OTk5OTk5OTld"}, "after"),
    ],
)
async def test_page_arguments_that_cannot_be_name_their_field(
    api: Api, li: Person, asked: dict[str, Any], field: str
) -> None:
    answer = await api.ask(PAGE, STAFF, id=gid("Member", li.member_id), **asked)
    extensions = answer["errors"][0]["extensions"]
    assert (extensions["code"], extensions["field"]) == ("malformed", field)


def _key(node_id: str) -> list[str]:
    return b64decode(node_id).decode().split(":")[1].split(".")[1:]
