"""What is denied is on record: of whom, what, how often; and not more than a disk holds."""

import pytest

from hub.audit.record_denials import BEYOND, MOST_KINDS
from tests.integration.api_kit import FINANCE, HOTEL, SHOP, STAFF, Api
from tests.integration.test_graphql_card import gid

DENIALS = """query ($of: String) { denials(subject: $of, first: 50) {
  nodes { times role subject path reason asked } } }"""


async def kept(api: Api, of: str) -> list[tuple[str, ...]]:
    rows = (await api.data(DENIALS, STAFF, of=of))["denials"]["nodes"]
    return sorted((one["path"], one["reason"], one["asked"], one["times"]) for one in rows)


async def test_what_is_refused_or_hidden_is_on_record(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040", name="Li")
    han = await api.join("hotel", "g-1", phone="+8613910203041", name="Han")
    ask = "query ($id: ID!) { member(id: $id) { number } }"
    for _ in range(3):  # the resolvers, then the plan
        assert await api.data(ask, li.principal, id=gid("Member", han.member_id)) == {
            "member": None
        }
    await api.data(ask, li.principal, id=gid("Member", li.member_id))
    number = f"Member:{han.member_id}"
    assert await kept(api, li.principal.subject) == [("member", "hidden", number, 3)]

    full = "query ($id: ID!) { member(id: $id) { phone(masked: false) } }"
    assert await api.code(full, SHOP, id=gid("Member", li.member_id)) == "forbidden"
    others = '{ reconciliationBreaks(business: "shop") { nodes { number } } }'
    assert await api.code(others, HOTEL) == "forbidden"
    assert await api.code("{ members { nodes { number } } }", FINANCE) == "forbidden"
    assert await kept(api, SHOP.subject) == [("member.phone", "forbidden", "masked", 1)]
    assert [one[:3] for one in await kept(api, HOTEL.subject)] == [
        ("reconciliationBreaks", "forbidden", "business")
    ]
    assert await kept(api, FINANCE.subject) == [("members", "forbidden", "", 1)]

    cancel = """mutation { stockReward(input: { reward: "none", quantity: 1, idempotencyKey: "k" })
      { __typename } }"""
    answer = await api.data(cancel, FINANCE)
    assert answer == {"stockReward": {"__typename": "Forbidden"}}
    assert ("mutation", "forbidden", "", 1) in await kept(api, FINANCE.subject)

    # Who is not signed in is counted, and is not on record.
    assert await api.code("{ businesses { code } }") == "unauthenticated"
    everything = str(await api.data(DENIALS, STAFF, of=None))
    assert "nobody" not in everything
    assert not [said for said in ("1391020", "Li", "Han") if said in everything]
    assert (
        'hub_denials_total{reason="unauthenticated",role="nobody"}'
        in (await api.client.get("/metrics")).text
    )


@pytest.mark.parametrize("at_once", [MOST_KINDS + 15])
async def test_who_probes_fills_no_disk(api: Api, at_once: int) -> None:
    li = await api.join("shop", "c-1")
    for first in (0, at_once):
        roots = [
            f'm{n}: member(id: "{gid("Member", 1000 + n)}") {{ number }}'
            for n in range(first, first + at_once)
        ]
        for begins in range(0, at_once, 10):
            await api.data(f"{{ {' '.join(roots[begins : begins + 10])} }}", li.principal)
    rows = await kept(api, li.principal.subject)
    assert sum(int(one[3]) for one in rows) == 2 * at_once
    # The minute may have changed on the way.
    assert len(rows) <= 2 * (MOST_KINDS + 1)
    assert next(one[:3] for one in rows if one[0] == BEYOND) == (BEYOND, BEYOND, "")
