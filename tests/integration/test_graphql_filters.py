"""Filters and orders: they hold, by plan as by resolver, and none reads or sorts a whole table."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, event, text

from graphql_schema.schema import build_schema
from hub.clock import now
from hub.crypto.tokens import Principal
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, Api
from tests.integration.test_graphql_card import gid
from tests.support.many import fill
from tests.support.plans import Both

SCHEMA = build_schema()
MANY = 60
MEMBERS = """query ($filter: MemberFilter, $orderBy: MemberOrder, $first: Int) {
  members(filter: $filter, orderBy: $orderBy, first: $first) { nodes { number } } }"""
ENTRIES = """query ($id: ID!, $filter: EntryFilter, $orderBy: EntryOrder) {
  member(id: $id) { entries(filter: $filter, orderBy: $orderBy, first: 100) {
    nodes { kind business { code } businessDate } } } }"""
Holds = Callable[[int], bool]


def active(i: int) -> int | None:
    return i % 400 if i % 7 else None


# As tests.support.many has them: a business of three, a tier of three, an hour apart.
FILTERS: list[tuple[dict[str, str], Holds]] = [
    ({"business": "shop"}, lambda i: i % 3 == 0 or i == 31),
    ({"tier": "silver"}, lambda i: i % 3 == 1 if i > 1 else MANY % 3 == 1),
    ({"joinedFrom": "2024-01-02T00:00:00Z"}, lambda i: i >= 24),
    ({"joinedBefore": "2024-01-02T08:00:00+08:00"}, lambda i: i < 24),
    ({"activeFrom": "2024-01-11"}, lambda i: (active(i) or 0) >= 10),
    ({"activeUntil": "2024-01-11"}, lambda i: 0 < (active(i) or 0) <= 10),
    (
        {"business": "shop", "tier": "iron", "joinedFrom": "2024-01-01T10:00:00Z"},
        lambda i: i % 3 == 0 and i >= 10,
    ),
]
ORDERS = [
    None,
    *({"field": f, "direction": d} for f in ("JOINED", "LAST_ACTIVE") for d in ("ASC", "DESC")),
]


@pytest.fixture
async def filled(api: Api) -> Api:
    """Sixty members; one of the diner's had another account, at the shop, and was made one."""
    async with api.engine.begin() as db:
        await fill(db, MANY)
        await db.execute(
            text("UPDATE member SET status = 'merged', merged_into = 31 WHERE member_id = 33")
        )
    return api


async def test_filters_of_members_hold_in_every_order(filled: Api) -> None:
    both = Both(filled.engine, filled.readers, filled.keyring)
    for only, holds in FILTERS:
        for order in ORDERS:
            answer: Any = None
            for _ in range(2):
                body, planned = await both.ask(
                    MEMBERS, STAFF, at=now(), filter=only, orderBy=order, first=100
                )
                answer = orjson.loads(body)["data"]["members"]["nodes"]
            assert planned, (only, order)
            expected = [i for i in range(1, MANY + 1) if i != 33 and holds(i)]
            if order and order["field"] == "LAST_ACTIVE":
                expected = [i for i in expected if active(i) is not None]
                expected.sort(key=lambda i: (active(i) or 0, i))
            if order is None or order["direction"] == "DESC":
                expected.reverse()
            assert [int(one["number"]) for one in answer] == expected, (only, order)


async def test_filters_of_entries_hold(filled: Api) -> None:
    both = Both(filled.engine, filled.readers, filled.keyring)
    only = {"business": "hotel", "kinds": ["EARN", "EXPIRE"], "from": "2024-01-05"}
    for _ in range(2):
        body, planned = await both.ask(
            ENTRIES, STAFF, at=now(), id=gid("Member", 1), filter=only,
            orderBy={"field": "POSTED", "direction": "ASC"},
        )  # fmt: skip
    assert planned
    found = orjson.loads(body)["data"]["member"]["entries"]["nodes"]
    expected = [i for i in range(1, MANY + 1) if i % 3 == 1 and i >= 4]
    assert [one["businessDate"][-2:] for one in found if one["businessDate"] < "2024-02"] == [
        f"{i + 1:02}" for i in expected if i <= 30
    ]
    assert len(found) == len(expected)
    assert {(one["kind"], one["business"]["code"]) for one in found} == {("EARN", "hotel")}


async def test_filters_of_vouchers_hold(filled: Api) -> None:
    query = """query ($id: ID!, $filter: VoucherFilter, $orderBy: VoucherOrder) {
      member(id: $id) { vouchers(filter: $filter, orderBy: $orderBy, first: 100) {
        nodes { number state campaign { code } } } } }"""
    asked = {
        "id": gid("Member", 1),
        "filter": {"states": ["USED_UP"], "campaign": "c-2"},
        "orderBy": {"field": "ENDS", "direction": "ASC"},
    }
    found = (await filled.data(query, STAFF, **asked))["member"]["vouchers"]["nodes"]
    expected = [i for i in range(1, MANY + 2) if i % 5 == 0 and i % 3 == 1]
    assert [int(one["number"]) for one in found] == expected
    assert {one["campaign"]["code"] for one in found} == {"c-2"}


async def test_filters_of_lines_hold(filled: Api) -> None:
    query = """query ($filter: ObligationFilter) { settlementPeriod(code: "2001-01-02") {
      obligations(filter: $filter, first: 100) {
        nodes { kind businessDate debtor { code } creditor { code } } } } }"""
    only = {"debtor": "hotel", "kinds": ["redemption", "issue"], "until": "2001-01-12"}
    for who in (FINANCE, HOTEL, DINER):
        found = (await filled.data(query, who, filter=only))["settlementPeriod"]["obligations"]
        expected = [i for i in range(1, MANY + 1) if i % 3 == 1 and i // 3 <= 10]
        assert len(found["nodes"]) == len(expected)
        assert {one["debtor"]["code"] for one in found["nodes"]} == {"hotel"}
    nothing = await filled.data(query, SHOP, filter=only)
    assert nothing["settlementPeriod"]["obligations"]["nodes"] == []
    assert await filled.code(query, SHOP, filter={"business": "hotel"}) == "forbidden"
    assert await filled.code(query, SHOP, filter={"kinds": ["theft"]}) == "malformed"


@pytest.mark.parametrize(
    ("filter_", "code"),
    [
        ({"joinedFrom": "2024-01-01T00:00:00"}, "malformed"),
        ({"business": "nowhere"}, "not_found"),
        ({"tier": "nowhere"}, "not_found"),
        ({"tier": "\0"}, "malformed"),
    ],
)
async def test_filters_that_cannot_be_say_why(api: Api, filter_: dict[str, str], code: str) -> None:
    both, (field,) = Both(api.engine, api.readers, api.keyring), filter_
    for _ in range(2):
        body, planned = await both.ask(MEMBERS, STAFF, at=now(), filter=filter_)
        assert not planned
        (error,) = orjson.loads(body)["errors"]
        assert error["extensions"] == {"code": code, "field": f"filter.{field}"}


async def test_a_tier_that_nobody_holds_is_no_unknown_one(api: Api) -> None:
    both = Both(api.engine, api.readers, api.keyring)
    for _ in range(2):
        body, planned = await both.ask(MEMBERS, STAFF, at=now(), filter={"tier": "gold"})
    assert planned
    assert orjson.loads(body) == {"data": {"members": {"nodes": []}}, "errors": []}


UNKNOWN = [
    ("rewardOrders", "reward"),
    ("tierHistory", "ladder"),
    ("tierHistory", "tier"),
    ("rewards", "tier"),
    ("voucherCampaigns", "benefit"),
    ("voucherBatches", "campaign"),
    ("deliveries", "connection"),
    ("pullStreams", "connection"),
    ("webhookDeliveries", "subscription"),
]
"""Lists, and what of their filters is a code."""


async def test_a_code_that_nothing_has_is_told_with_its_field(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040")
    for name, field in UNKNOWN:
        asked = f'{name}(filter: {{ {field}: "nothing" }}) {{ nodes {{ __typename }} }}'
        if name in ("rewardOrders", "tierHistory"):
            asked = f'member(id: "{gid("Member", li.member_id)}") {{ {asked} }}'
        (error,) = (await api.ask(f"{{ {asked} }}", STAFF))["errors"]
        assert error["extensions"] == {"code": "not_found", "field": f"filter.{field}"}, name
    (error,) = (await api.ask('{ denials(filter: { role: "judge" }) { nodes { role } } }', STAFF))[
        "errors"
    ]
    assert error["extensions"] == {"code": "malformed", "field": "filter.role"}


async def test_the_connection_of_another_business_is_none(api: Api) -> None:
    query = """query ($filter: DeliveryFilter) {
      deliveries(filter: $filter) { nodes { connection } } }"""
    async with api.engine.begin() as db:
        await db.execute(
            text("""
              INSERT INTO connection (business_id, code, connector, settings)
              SELECT business_id, 'till', 'test', '' FROM business WHERE code = 'shop'""")
        )
    told = [await api.ask(query, HOTEL, filter={"connection": code}) for code in ("till", "none")]
    assert [one["errors"][0]["extensions"]["code"] for one in told] == ["not_found", "not_found"]
    for who in (SHOP, STAFF):  # it is there, and nothing came by it
        assert (await api.data(query, who, filter={"connection": "till"}))["deliveries"] == {
            "nodes": []
        }


async def test_said_twice_is_refused(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040")
    query = """query ($id: ID!) { member(id: $id) {
      entries(kind: EARN, filter: { kinds: [EARN] }) { nodes { id } } } }"""
    assert await api.code(query, STAFF, id=gid("Member", li.member_id)) == "malformed"


# How lists are read

BIG = 20_000
SMALL_SORT = 1_000


class Plans:
    """The plans of what the application reads, as the server then makes them."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.read: list[tuple[str, Any]] = []

    async def of(self, query: str, who: Principal, **variables: Any) -> list[dict[str, Any]]:
        """Return the plan of each statement that a query takes."""
        self.read.clear()
        async with self.api.context(who, at=now()) as context:
            result = await SCHEMA.resolve(query, variable_values=variables, context_value=context)
        assert result.errors is None, result.errors
        found = []
        async with self.api.engine.connect() as db:
            for statement, parameters in self.read:
                if not statement.lstrip().startswith(("SELECT", "WITH")):
                    continue
                explained = await db.exec_driver_sql(
                    f"EXPLAIN (FORMAT JSON) {statement}", parameters
                )
                found.append(explained.scalar_one()[0]["Plan"])
        assert found
        return found

    def note(self, _db: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self.read.append((statement, parameters))


async def settled(api: Api) -> None:
    """Let the planner know of all rows now what it would once the server has vacuumed, whenever."""
    async with api.engine.connect() as db:
        await db.execution_options(isolation_level="AUTOCOMMIT")
        await db.execute(text("VACUUM ANALYZE"))


def nodes_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", ()) for node in nodes_of(part))]


def complaints(plan: dict[str, Any]) -> list[str]:
    """Return what of a plan reads or sorts a whole table of thousands."""
    found = []
    for node in nodes_of(plan):
        if node["Node Type"] == "Seq Scan" and node["Plan Rows"] > SMALL_SORT:
            found.append(f"reads all of {node['Relation Name']}")
        if node["Node Type"] == "Sort":
            (sorted_,) = node["Plans"]
            if sorted_["Plan Rows"] > SMALL_SORT:
                found.append(f"sorts {sorted_['Plan Rows']} rows")
    return found


async def test_no_order_or_filter_reads_or_sorts_a_whole_table(api: Api) -> None:
    async with api.engine.begin() as db:
        # Members lie on as many pages as ten times of them do: of few pages all are soon read, and
        # for a filter that neither few nor many match that is indeed the best plan.
        await db.execute(text("ALTER TABLE member SET (fillfactor = 10)"))
        await fill(db, BIG, of="people")
    await settled(api)
    plans = Plans(api)
    event.listen(api.readers.sync_engine, "before_cursor_execute", plans.note)
    wrong = {}
    for only in ({}, *(only for only, _ in FILTERS), {"activeUntil": "2024-01-01"}):
        for order in ORDERS:
            read = await plans.of(MEMBERS, STAFF, filter=only, orderBy=order, first=20)
            if told := [one for plan in read for one in complaints(plan)]:
                wrong[str((only, order))] = told
    assert wrong == {}
