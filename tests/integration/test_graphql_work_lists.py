"""Lists of whoever runs the hub: filters hold, and no list reads or sorts a whole table."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type
from sqlalchemy import event

from graphql_schema.schema import build_schema
from hub.crypto.tokens import Principal
from tests.integration.api_kit import FINANCE, SHOP, STAFF, Api
from tests.integration.test_graphql_connections import NEEDED
from tests.integration.test_graphql_filters import Plans, complaints, nodes_of, settled
from tests.support.many import fill

Holds = Callable[[dict[str, Any]], bool]
MANY = 60


class Listed:
    """A list, as who reads it, with what is selected of it and filters that hold as they say."""

    def __init__(
        self,
        field: str,
        who: Principal,
        shown: str,
        *filters: tuple[str, Holds],
        within: str | None = None,
    ) -> None:
        self.field, self.who, self.shown, self.filters = field, who, shown, filters
        self.within = within

    def query(self, arguments: str = "", first: int = 100) -> str:
        """Return the query for a page."""
        asked = f"{{ {self.field}({arguments} first: {first}) {{ nodes {{ {self.shown} }} }} }}"
        return asked if self.within is None else f"{{ within: {self.within} {asked} }}"

    async def ask(self, api: Api, arguments: str = "") -> list[Any]:
        """Return the items of a page."""
        data = await api.data(self.query(arguments), self.who)
        found: Any = data.get("within", data)[self.field]
        nodes: list[Any] = found["nodes"]
        return nodes


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


def since(field: str, name: str) -> tuple[tuple[str, Holds], tuple[str, Holds]]:
    """Return filters by a moment, of which rows have one each hour from 2026 on."""
    middle = "2026-01-02T06:00:00Z"
    return (
        (f'{name}From: "{middle}"', lambda row: at(row[field]) >= at(middle)),
        (f'{name}Before: "{middle}"', lambda row: at(row[field]) < at(middle)),
    )


def coded(row: dict[str, Any], field: str, code: str) -> bool:
    return row[field] is not None and bool(row[field]["code"] == code)


def sided(row: dict[str, Any], code: str) -> bool:
    return coded(row, "debtor", code) or coded(row, "creditor", code)


LISTS = [
    Listed(
        "reconciliationRuns",
        FINANCE,
        "number business { code } role finishedAt from to askedAt",
        ('business: "shop"', lambda row: coded(row, "business", "shop")),
        ("finished: false", lambda row: row["finishedAt"] is None),
        ("finished: true", lambda row: row["finishedAt"] is not None),
        ('from: "2001-01-20"', lambda row: row["to"] >= "2001-01-20"),
        ('until: "2001-01-12"', lambda row: row["from"] <= "2001-01-12"),
        *since("askedAt", "asked"),
    ),
    Listed(
        "reconciliationSuggestions",
        FINANCE,
        "number business { code } rule madeAt",
        ('business: "shop"', lambda row: coded(row, "business", "shop")),
        ('rules: ["twins"]', lambda row: row["rule"] == "twins"),
        *since("madeAt", "made"),
    ),
    Listed(
        "reconciliationBreaks",
        FINANCE,
        "number business { code } counterparty { code } kind state owner day openedAt "
        "amount { amountMinor currency }",
        ('business: "shop"', lambda row: coded(row, "business", "shop")),
        ('counterparty: "hotel"', lambda row: coded(row, "counterparty", "hotel")),
        ('kinds: ["amount"]', lambda row: row["kind"] == "amount"),
        ('states: ["investigating"]', lambda row: row["state"] == "investigating"),
        ('owner: "ann"', lambda row: row["owner"] == "ann"),
        ('currency: "CNY"', lambda row: row["amount"] is not None),
        (
            'currency: "CNY", leastAmountMinor: 1500',
            lambda row: row["amount"] is not None and abs(row["amount"]["amountMinor"]) >= 1500,
        ),
        ('from: "2001-01-12"', lambda row: row["day"] >= "2001-01-12"),
        ('until: "2001-01-12"', lambda row: row["day"] <= "2001-01-12"),
        *since("openedAt", "opened"),
    ),
    Listed(
        "disputes",
        FINANCE,
        "number period business { code } debtor { code } creditor { code } state openedAt "
        "resolvedAt",
        ('business: "shop"', lambda row: sided(row, "shop")),
        ('debtor: "shop"', lambda row: coded(row, "debtor", "shop")),
        ('creditor: "shop"', lambda row: coded(row, "creditor", "shop")),
        (
            'debtor: "hotel", states: [OPEN]',
            lambda row: coded(row, "debtor", "hotel") and row["state"] == "OPEN",
        ),
        ("states: [REJECTED, UPHELD]", lambda row: row["state"] == "REJECTED"),
        ('currency: "USD"', lambda row: int(row["number"]) % 7 == 0),
        *since("openedAt", "opened"),
    ),
    Listed(
        "denials",
        STAFF,
        "minute subject operation path reason",
        ('subject: "business:7"', lambda row: row["subject"] == "business:7"),
        ('reason: "forbidden"', lambda row: row["reason"] == "forbidden"),
        ('operation: "Card"', lambda row: row["operation"] == "Card"),
        ('path: "denials"', lambda row: row["path"] == "denials"),
        (
            'minuteFrom: "2026-01-01T00:05:00Z", minuteBefore: "2026-01-01T08:15:00+08:00"',
            lambda row: "2026-01-01T00:05" <= row["minute"] < "2026-01-01T00:15",
        ),
    ),
    Listed(
        "reviewItems",
        STAFF,
        "id state reason score assignedTo openedAt",
        ("reasons: [BATCH_MATCH]", lambda row: row["reason"] == "BATCH_MATCH"),
        ('assignedTo: "ann"', lambda row: row["assignedTo"] == "ann"),
        ("assigned: false", lambda row: row["assignedTo"] is None),
        ("leastScore: 20", lambda row: row["score"] is not None and row["score"] >= 20),
        *since("openedAt", "opened"),
    ),
    Listed(
        "settlementCorrections",
        FINANCE,
        "number debtor { code } creditor { code } amount currency maker proposedAt",
        ('business: "shop"', lambda row: sided(row, "shop")),
        ('debtor: "shop"', lambda row: coded(row, "debtor", "shop")),
        ('creditor: "shop"', lambda row: coded(row, "creditor", "shop")),
        ('currency: "USD"', lambda row: row["currency"] == "USD"),
        (
            'currency: "CNY", leastAmount: "9.5"',
            lambda row: row["currency"] == "CNY" and abs(Decimal(row["amount"])) >= Decimal("9.5"),
        ),
        ('maker: "bob"', lambda row: row["maker"] == "bob"),
        *since("proposedAt", "proposed"),
    ),
    Listed(
        "proposedAdjustments",
        STAFF,
        "memberNumber business { code } points maker",
        ('business: "shop"', lambda row: coded(row, "business", "shop")),
        ('maker: "bob"', lambda row: row["maker"] == "bob"),
        ("leastPoints: 15", lambda row: abs(row["points"]) >= 15),
        # The member's number is that of the hour.
        ('proposedFrom: "2026-01-02T06:00:00Z"', lambda row: int(row["memberNumber"]) >= 30),
        ('proposedBefore: "2026-01-02T06:00:00Z"', lambda row: int(row["memberNumber"]) < 30),
    ),
    Listed(
        "deliveries",
        STAFF,
        "number business { code } connection topic state reasonCode reasonField receivedAt",
        ('business: "shop"', lambda row: coded(row, "business", "shop")),
        ('connection: "system-2"', lambda row: row["connection"] == "system-2"),
        ('topic: "orders"', lambda row: row["topic"] == "orders"),
        ("states: [DEAD]", lambda row: row["state"] == "DEAD"),
        ("states: [DONE, REFUSED]", lambda row: row["state"] != "DEAD"),
        (
            'states: [DEAD], reasonCode: "malformed", reasonField: "total"',
            lambda row: (row["reasonCode"], row["reasonField"]) == ("malformed", "total"),
        ),
        *since("receivedAt", "received"),
    ),
    Listed(
        "webhookDeliveries",
        STAFF,
        "number event business { code } subscription type state askedAt",
        ('business: "shop"', lambda row: coded(row, "business", "shop")),
        ('subscription: "events-2"', lambda row: row["subscription"] == "events-2"),
        ('event: "evt_31"', lambda row: row["event"] == "evt_31"),
        ("types: [TIER_CHANGED]", lambda row: row["type"] == "TIER_CHANGED"),
        ("states: [DEAD, PENDING]", lambda row: row["state"] != "DELIVERED"),
        ("states: [DEAD, DELIVERED]", lambda row: row["state"] != "PENDING"),
        *since("askedAt", "asked"),
    ),
    Listed(
        "settlementPeriods",
        FINANCE,
        "code state startsOn endsOn",
        ('states: ["closing"]', lambda row: row["state"] == "closing"),
        ('from: "2001-01-20"', lambda row: row["endsOn"] >= "2001-01-20"),
        ('until: "2001-01-20"', lambda row: row["startsOn"] <= "2001-01-20"),
    ),
]
BY_FIELD = {one.field: one for one in LISTS}


async def test_filters_hold(api: Api) -> None:
    async with api.engine.begin() as db:
        await fill(db, MANY)
    for one in LISTS:
        whole = await one.ask(api)
        for said, holds in one.filters:
            found = await one.ask(api, f"filter: {{ {said} }},")
            assert found == [row for row in whole if holds(row)], (one.field, said)
            assert 0 < len(found) < len(whole), (one.field, said)
    every = await BY_FIELD["reconciliationBreaks"].ask(
        api, 'filter: { states: ["open", "investigating", "reopened", "resolved"] },'
    )
    assert len(every) == MANY


OWN = ("reconciliation", "disputes", "webhook", "deliveries")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("reconciliationBreaks(filter: { leastAmountMinor: 5 })", "malformed"),
        ("reconciliationBreaks(orderBy: { field: AMOUNT, direction: ASC })", "malformed"),
        ('reconciliationBreaks(states: ["open"], filter: { states: ["open"] })', "malformed"),
        ('reconciliationBreaks(filter: { kinds: ["theft"] })', "malformed"),
        ('reconciliationBreaks(filter: { counterparty: "nobody" })', "not_found"),
        ('reconciliationBreaks(filter: { openedFrom: "2026-01-01T00:00:00" })', "malformed"),
        ('reconciliationBreaks(filter: { business: "hotel" })', "forbidden"),
        ('reconciliationRuns(filter: { role: "judge" })', "malformed"),
        ('disputes(filter: { business: "hotel" })', "forbidden"),
        ("disputes(states: [OPEN], filter: { states: [OPEN] })", "malformed"),
        ('settlementCorrections(filter: { leastAmount: "5" })', "malformed"),
        ('settlementCorrections(filter: {currency: "CNY", leastAmount: "1e9999"})', "malformed"),
        ('settlementCorrections(filter: {currency: "CNY", leastAmount: "NaN"})', "malformed"),
        ('settlementPeriods(filter: { states: ["lost"] })', "malformed"),
        ('reconciliationSuggestions(filter: { rules: ["reference"] })', "malformed"),
        ('deliveries(filter: { receivedFrom: "2026-01-01T00:00:00" })', "malformed"),
        ('webhookDeliveries(filter: { event: "evt_x" })', "malformed"),
        ('webhookDeliveries(filter: { business: "hotel" })', "forbidden"),
        ('deliveries(filter: { business: "hotel" })', "forbidden"),
    ],
)
async def test_what_cannot_be_is_refused(api: Api, asked: str, code: str) -> None:
    who = SHOP if asked.startswith(OWN) else FINANCE
    assert await api.code(f"{{ {asked} {{ nodes {{ __typename }} }} }}", who) == code


BIG = 8_000
MOST_COST = 120
"""Of a page, as the planner counts: reading one of the tables costs 190 and more."""
MADE = ("0058_filters", "0062_webhooks", "0062_suggestions", "0066_received")
# A page of each of three subscriptions, or books, is read, and the first of all these are shown.
PAGES = {"webhookDeliveries": 3, "deliveries": 3, "reconciliationSuggestions": 3}
# What few rows are, of what is over too.
RARE = {
    "disputes": (
        "filter: { states: [UPHELD] }",
        'filter: { debtor: "diner" }',
        'filter: { creditor: "diner" }',
        'filter: { period: "2001-01-20" }',
    ),
    "settlementCorrections": (
        'filter: { debtor: "diner" }',
        'filter: { creditor: "diner" }',
        "filter: { states: [PROPOSED, APPROVED, REJECTED] }",
    ),
    "denials": ('filter: { reason: "rare" }',),
    "reconciliationSuggestions": ('filter: { business: "diner" }',),
    "webhookDeliveries": ("filter: { states: [DEAD] }", "filter: { states: [PENDING] }"),
    "deliveries": (
        'filter: { receivedBefore: "2026-01-02T06:00:00Z" }',
        'filter: { states: [DEAD], receivedBefore: "2026-01-02T06:00:00Z" }',
    ),
    "reviewItems": (
        "filter: { states: [OPEN, DISMISSED] }, orderBy: { field: SCORE, direction: DESC }",
    ),
}


def orders(field: str) -> Iterator[str]:
    """Return the orders of a list, as arguments, and none."""
    schema = build_schema()._schema
    assert isinstance(schema.query_type, GraphQLObjectType)
    if "orderBy" not in schema.query_type.fields[field].args:
        yield ""
        return
    by: Any = get_named_type(schema.query_type.fields[field].args["orderBy"].type)
    fields: Any = get_named_type(by.fields["field"].type)
    yield ""
    for name in fields.values:
        for way in ("ASC", "DESC"):
            needed = NEEDED.get(f"{fields.name}.{name}", "")
            yield f"{needed} orderBy: {{ field: {name}, direction: {way} }},"


async def test_no_list_reads_or_sorts_a_whole_table(api: Api) -> None:
    async with api.engine.begin() as db:
        await fill(db, BIG, of="work")
    await settled(api)
    plans = Plans(api)
    event.listen(api.readers.sync_engine, "before_cursor_execute", plans.note)
    wrong, used = {}, set()
    for one in LISTS:
        every = list(orders(one.field))
        asked = [*every, *(f"filter: {{ {said} }}," for said, _ in one.filters)]
        asked += [f"{said}," for said in RARE.get(one.field, ())]
        for arguments in asked:
            read = await plans.of(one.query(arguments, first=20), one.who)
            told = [each for plan in read for each in complaints(plan)]
            most = MOST_COST * PAGES.get(one.field, 1)
            told += [f"costs {cost}" for plan in read if (cost := plan["Total Cost"]) > most]
            if told:
                wrong[f"{one.field} {arguments}"] = told
            nodes = [node for plan in read for node in nodes_of(plan)]
            used |= {node["Index Name"] for node in nodes if "Index Name" in node}
    assert wrong == {}
    scripts = (Path(f"migrations/versions/{made}.sql") for made in MADE)
    made = [name for one in scripts for name in re.findall(r"CREATE INDEX (\w+)", one.read_text())]
    assert set(made) - used == set()
