"""A node of each type, of Han's and the hotel's: for tests of who is shown what by its id."""

from typing import Any

from graphql import GraphQLInterfaceType

from tests.integration.api_kit import FINANCE, HOTEL, STAFF
from tests.integration.test_graphql_card import gid
from tests.support.access_asking import SCHEMA
from tests.support.access_world import World

_OF_MEMBER = """query ($id: ID!) { member(id: $id) { id accounts { id } lots { id } holds { id }
  adjustments { id } entries(first: 1) { nodes { id } } rewardOrders(first: 1) { nodes { id } } }
  reviewItems(first: 1) { nodes { id } } }"""


async def node_ids(world: World) -> dict[str, str]:
    """Return an id of each type of node that there is."""
    found: Any = await world.api.data(_OF_MEMBER, STAFF, id=world.ids["han"])
    member, [review] = found["member"], found["reviewItems"]["nodes"]
    period = await world.api.data(
        "query ($p: String!) { settlementPeriod(code: $p) { id } }", FINANCE, p=world.period
    )
    ids = {
        "Member": member["id"],
        "ReviewItem": review["id"],
        "SettlementPeriod": period["settlementPeriod"]["id"],
        "Business": gid("Business", HOTEL.business or ""),
        "Entry": member["entries"]["nodes"][0]["id"],
        "RewardOrder": member["rewardOrders"]["nodes"][0]["id"],
    }
    for type_, field in (("Account", "accounts"), ("Lot", "lots"), ("Hold", "holds"),
                         ("Adjustment", "adjustments")):  # fmt: skip
        ids[type_] = member[field][0]["id"]
    node = SCHEMA.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert {one.name for one in SCHEMA.get_possible_types(node)} == set(ids)
    return ids
