"""The member card: what is on it, and who sees what of it."""

from base64 import b64encode
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from hub.clock import now
from hub.ledger.post import post_earns
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, ZONE, Api, Person
from tests.support.ledger import NOON, lot

CARD = """query ($id: ID!) { member(id: $id) {
  id number displayName phone email
  tier { code name nameZh since qualifying progress { nextCode missingPoints by } }
  balance { available posted held qualifying } expiringSoon
  accounts { id externalId business { code } }
  lots { id earned remaining expiresOn issuer { code } }
  holds { points }
  entitlements { benefit remaining offeredAt { code } }
  entries { nodes { kind unit points business { code } issuer { code } account { externalId }
    explain { ruleVersion pointsPerUnit total { formatted } base { amountMinor currency }
      lines { line points base { formatted } } } } pageInfo { hasNextPage } } } }"""


def gid(kind: str, *key: int | str) -> str:
    return b64encode(f"{kind}:{'.'.join(map(str, key))}".encode()).decode()


@pytest.fixture
async def li(api: Api) -> Person:
    """A person with an account at the shop and one at the hotel, who bought at both."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷", email="lei@example.com")
    again = await api.join("hotel", "g-1", phone="+8613910203040", name="Li Lei")
    assert again.member_id == li.member_id
    await api.buy(li, "shop", 800)
    await api.buy(Person(member_id=li.member_id, account_id=again.account_id), "hotel", 400)
    return li


async def test_staff_see_all_of_it_masked(api: Api, li: Person) -> None:
    card = (await api.data(CARD, STAFF, id=gid("Member", li.member_id)))["member"]
    assert (card["displayName"], card["phone"]) == ("L*** L***", "139****3040")
    assert card["email"] == "l***@example.com"
    assert card["tier"]["code"] == "silver"
    assert card["tier"]["progress"]["missingPoints"] == 3800
    assert card["balance"] == {"available": 1200, "posted": 1200, "held": 0, "qualifying": 1200}
    assert [a["business"]["code"] for a in card["accounts"]] == ["shop", "hotel"]
    assert [lot["remaining"] for lot in card["lots"]] == [800, 400]
    assert card["entitlements"] == [
        {"benefit": "room-upgrade", "remaining": 2, "offeredAt": [{"code": "hotel"}]}
    ]
    newest = next(e for e in card["entries"]["nodes"] if e["unit"] == "SPENDABLE")
    assert (newest["kind"], newest["points"], newest["business"]["code"]) == ("EARN", 400, "hotel")
    assert newest["account"]["externalId"] == "g-1"
    assert newest["explain"]["pointsPerUnit"] == "1.000000"
    assert newest["explain"]["total"]["formatted"] == "400.00"
    assert newest["explain"]["base"] == {"amountMinor": 40000, "currency": "CNY"}
    assert [line["points"] for line in newest["explain"]["lines"]] == [400]


async def test_a_member_sees_itself_in_full_and_nobody_else(api: Api, li: Person) -> None:
    han = await api.join("shop", "c-2", phone="+8613910203041", name="韩梅梅")
    me = (await api.data("{ me { number displayName phone } }", li.principal))["me"]
    assert me == {"number": str(li.member_id), "displayName": "Li Lei", "phone": "+8613910203040"}
    other = await api.data(CARD, li.principal, id=gid("Member", han.member_id))
    nobody = await api.data(CARD, li.principal, id=gid("Member", 999_999))
    assert other == nobody == {"member": None}
    own = await api.data(CARD, li.principal, id=gid("Member", li.member_id))
    assert own["member"]["displayName"] == "Li Lei"
    assert "errors" in await api.ask("{ me { displayName(masked: 1) } }", li.principal)
    masked = await api.data("{ me { displayName(masked: true) } }", li.principal)
    assert masked["me"]["displayName"] == "L*** L***"


async def test_a_business_sees_its_customers_masked_and_only_its_own_rows(
    api: Api, li: Person
) -> None:
    card = (await api.data(CARD, HOTEL, id=gid("Member", li.member_id)))["member"]
    assert card["phone"] == "139****3040"
    assert card["balance"]["available"] == 1200
    assert [a["business"]["code"] for a in card["accounts"]] == ["hotel"]
    assert {e["business"]["code"] for e in card["entries"]["nodes"]} == {"hotel"}
    assert [lot["issuer"]["code"] for lot in card["lots"]] == ["hotel"]
    shop = (await api.data(CARD, SHOP, id=gid("Member", li.member_id)))["member"]
    assert shop["entitlements"] == []
    asked = (
        """query ($id: ID!) { member(id: $id) { entries(business: "shop") { nodes { id } } } }"""
    )
    got = await api.data(asked, HOTEL, id=gid("Member", li.member_id))
    assert got["member"]["entries"]["nodes"] == []


async def test_a_business_without_the_member_learns_nothing_unless_it_is_presented(
    api: Api, li: Person
) -> None:
    hidden = await api.data(CARD, DINER, id=gid("Member", li.member_id))
    assert hidden == await api.data(CARD, DINER, id=gid("Member", 999_999)) == {"member": None}
    presented = """query ($by: Identifier!) {
      memberByIdentifier(presented: $by) { displayName phone accounts { id }
        entries { nodes { id } } balance { available } } }"""
    got = await api.data(presented, DINER, by={"phone": "139 1020 3040"})
    assert got["memberByIdentifier"] == {
        "displayName": None,
        "phone": None,
        "accounts": [],
        "entries": {"nodes": []},
        "balance": {"available": 1200},
    }
    assert await api.data(presented, DINER, by={"email": "nobody@example.com"}) == {
        "memberByIdentifier": None
    }


@pytest.mark.parametrize("field", ["displayName", "phone", "email"])
async def test_only_staff_lift_the_mask_of_another(api: Api, li: Person, field: str) -> None:
    query = f"query ($id: ID!) {{ member(id: $id) {{ {field}(masked: false) }} }}"
    full = await api.data(query, STAFF, id=gid("Member", li.member_id))
    assert "*" not in full["member"][field]
    assert await api.code(query, SHOP, id=gid("Member", li.member_id)) == "forbidden"
    assert await api.code(query, FINANCE, id=gid("Member", li.member_id)) == "forbidden"


async def test_lifting_the_mask_is_logged_without_the_value(api: Api, li: Person) -> None:
    query = "query ($id: ID!) { member(id: $id) { phone(masked: false) } }"
    with capture_logs() as logs:
        await api.data(query, STAFF, id=gid("Member", li.member_id))
    [line] = [entry for entry in logs if entry["event"] == "personal_data_read"]
    assert (line["subject"], line["member_id"], line["attribute"]) == ("ann", li.member_id, "phone")
    assert "13910203040" not in str(logs)


async def test_staff_search_by_any_identifier(api: Api, li: Person) -> None:
    query = "query ($by: Identifier!) { memberSearch(by: $by) { number } }"
    for by in ({"phone": "+86 139 1020 3040"}, {"email": "LEI@example.com"}):
        assert await api.data(query, STAFF, by=by) == {
            "memberSearch": [{"number": str(li.member_id)}]
        }
    assert await api.data(query, STAFF, by={"loyaltyId": "nobody's"}) == {"memberSearch": []}
    assert await api.code(query, STAFF, by={"phone": ""}) == "malformed"
    assert await api.code(query, STAFF, by={}) == "bad_request"
    assert await api.code(query, STAFF, by={"phone": "1", "email": "2"}) == "bad_request"


async def test_what_expires_soon(api: Api, li: Person) -> None:
    # Points live for a year, and to the end of that month: on whatever day this runs, of this one.
    today = now().astimezone(ZoneInfo(ZONE))
    bought = today.replace(year=today.year - 1, day=min(today.day, 28))
    await api.buy(li, "shop", 50, days_ago=(today - bought).days)
    query = "{ me { soon: expiringSoon  ever: expiringSoon(withinDays: 1000) } }"
    assert (await api.data(query, li.principal))["me"] == {"soon": 50, "ever": 1250}
    assert await api.code("{ me { expiringSoon(withinDays: 4000) } }", li.principal) == "malformed"


async def test_what_ends_by_idleness_ends_soon_and_other_units_are_told_apart(
    api: Api, li: Person
) -> None:
    async with api.engine.begin() as db:
        for statement in (
            "UPDATE lot SET expires_on = 'infinity', idle_months = 1 WHERE unit = 1",
            """INSERT INTO point_unit (unit_id, code, name, kind)
               VALUES (3, 'stars', 'Stars', 'spendable')""",
        ):
            await db.execute(text(statement))
        await post_earns(db, [replace(lot(li.member_id, 7, expires_on=None), unit=3)], now=NOON)
    query = """{ me { soon: expiringSoon(withinDays: 32)
      entries(first: 1) { nodes { unit unitCode points } } } }"""
    assert (await api.data(query, li.principal))["me"] == {
        "soon": 1200,
        "entries": {"nodes": [{"unit": "SPENDABLE", "unitCode": "stars", "points": 7}]},
    }


async def test_a_merged_away_id_leads_to_whom_the_member_is_now(api: Api, li: Person) -> None:
    gone = await api.join("diner", "d-1", email="old@example.com")
    async with api.engine.begin() as db:
        await db.execute(
            text("UPDATE member SET status = 'merged', merged_into = :now WHERE member_id = :id"),
            {"now": li.member_id, "id": gone.member_id},
        )
    assert (await api.data("{ me { number } }", gone.principal))["me"] == {
        "number": str(li.member_id)
    }
    card = await api.data(CARD, gone.principal, id=gid("Member", gone.member_id))
    assert card["member"]["number"] == str(li.member_id)


async def test_nodes_come_in_order_with_null_for_what_may_not_be_seen(api: Api, li: Person) -> None:
    card = (await api.data(CARD, STAFF, id=gid("Member", li.member_id)))["member"]
    lots = [lot["id"] for lot in card["lots"]]
    ids = [
        card["id"],
        *lots,
        card["accounts"][0]["id"],
        gid("Business", "diner"),
        gid("Lot", 1, 999),
    ]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    kinds = ["Member", "Lot", "Lot", "Account", "Business", None]
    for who, expected in {
        STAFF: kinds,
        li.principal: kinds,
        HOTEL: ["Member", None, "Lot", None, "Business", None],
        DINER: [None, None, None, None, "Business", None],
    }.items():
        nodes = (await api.data(query, who, ids=ids))["nodes"]
        assert [node and node["__typename"] for node in nodes] == expected
    for wrong in ("nonsense", gid("Nothing", 1), gid("Member", "x"), gid("Member", 2**70)):
        assert await api.code(query, STAFF, ids=[wrong]) in ("malformed", "bad_request")
    assert await api.code(query, STAFF, ids=[ids[0]] * 101) == "malformed"


async def test_a_node_that_is_refused_spoils_no_other(api: Api, li: Person) -> None:
    mine, review = gid("Member", li.member_id), gid("ReviewItem", 1)
    ids = [gid("Nothing", 1), mine, gid("Member", "x"), review, "zzz", "", "\0"]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } again: nodes(ids: $ids) { id } }"
    answer = await api.ask(query, li.principal, ids=ids)
    assert answer["data"] == {key: [None, {"id": mine}, *[None] * 5] for key in ("nodes", "again")}
    told = [(*one["path"], one["extensions"]["code"]) for one in answer["errors"]]
    expected = [
        (0, "malformed"),
        (2, "malformed"),
        (3, "forbidden"),
        *((n, "malformed") for n in (4, 5, 6)),
    ]
    assert told == [(root, *one) for root in ("nodes", "again") for one in expected]


async def test_who_may_not_read_a_members_rows_is_not_told_which_there_are(
    api: Api, li: Person
) -> None:
    card = (await api.data(CARD, STAFF, id=gid("Member", li.member_id)))["member"]
    entries = await api.data(
        "query ($id: ID!) { member(id: $id) { entries { nodes { id } } } }", STAFF, id=card["id"]
    )
    there = [card["lots"][0]["id"], entries["member"]["entries"]["nodes"][0]["id"]]
    away = [gid("Lot", li.member_id, 999), gid("Entry", li.member_id, 999, 1)]
    query = "query ($id: ID!) { node(id: $id) { id } }"
    for one, other in zip(there, away, strict=True):
        answers = [await api.code(query, FINANCE, id=id_) for id_ in (one, other)]
        assert answers == ["forbidden", "forbidden"]
