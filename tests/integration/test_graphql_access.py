"""Who may ask what: every read against every role, and what stands in the way of abuse."""

import asyncio
from typing import Any

import pytest
from graphql import get_introspection_query
from sqlalchemy import text

from graphql_schema.documents import MOST_TOKENS
from graphql_schema.export import difference
from graphql_schema.limits import MOST_ALIASES, MOST_DEPTH
from graphql_schema.schema import build_schema
from tests.integration.api_kit import ADMIN, FINANCE, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import CARD, gid

ROLES = ("nobody", "member", "business", "staff", "finance", "admin")
YES, NO, OUT, MISSING = "answered", "forbidden", "unauthenticated", "not_found"
# In the order of ROLES.
TABLE: dict[str, tuple[str, ...]] = {
    "{ __typename }": (YES, YES, YES, YES, YES, YES),
    "{ __schema { queryType { name } } }": (YES, YES, YES, YES, YES, YES),
    "{ programme { name } }": (YES, YES, YES, YES, YES, YES),
    "{ businesses { code } }": (OUT, YES, YES, YES, YES, YES),
    "{ membershipPlans { code } }": (OUT, YES, YES, YES, YES, YES),
    "{ member(id: $MEMBER) { memberships { plan } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { entitlementGrants { source } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { entitlementHolds { quantity } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { entitlementHistory { kind } } }": (OUT, YES, YES, YES, NO, NO),
    "{ me { number } }": (OUT, YES, YES, YES, YES, YES),
    "{ member(id: $MEMBER) { number } }": (OUT, YES, YES, YES, NO, NO),
    "{ node(id: $MEMBER) { id } }": (OUT, YES, YES, YES, NO, NO),
    "{ node(id: $SHOP) { id } }": (OUT, YES, YES, YES, YES, YES),
    "{ nodes(ids: [$MEMBER]) { id } }": (OUT, YES, YES, YES, NO, NO),
    "{ members { nodes { number } } }": (OUT, NO, NO, YES, NO, NO),
    '{ memberSearch(by: { phone: "1" }) { number } }': (OUT, NO, NO, YES, NO, NO),
    '{ memberByIdentifier(presented: { phone: "1" }) { number } }': (OUT, NO, YES, NO, NO, NO),
    "{ unreadableDetails { masked } }": (OUT, NO, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { joinCode { code } } }": (OUT, YES, NO, NO, NO, NO),
    "{ settlementCorrections { nodes { number } } }": (OUT, NO, NO, YES, YES, NO),
    "{ disputes { nodes { number } } }": (OUT, NO, YES, YES, YES, NO),
    "{ settlementPeriods { nodes { code } } }": (OUT, NO, YES, YES, YES, NO),
    '{ settlementPeriod(code: "2026-01") { code } }': (OUT, NO, YES, YES, YES, NO),
    '{ journals(period: "2026-01") { reference } }': (OUT, NO, MISSING, MISSING, MISSING, NO),
    '{ elimination(period: "2026-01") { currency } }': (OUT, NO, NO, MISSING, MISSING, NO),
    '{ journalFiles(period: "2026-01", format: "csv") { name } }': (OUT, NO, NO, NO, MISSING, NO),
    "{ creditStandings { currency } }": (OUT, NO, YES, YES, YES, NO),
    "{ reconciliationMappings { code } }": (OUT, NO, YES, YES, YES, NO),
    "{ reconciliationRuns { nodes { number } } }": (OUT, NO, YES, YES, YES, NO),
    "{ reconciliationSuggestions { nodes { number } } }": (OUT, NO, YES, YES, YES, NO),
    "{ reconciliationBreaks { nodes { number } } }": (OUT, NO, YES, YES, YES, NO),
    "{ reconciliationAgeing { breaks } }": (OUT, NO, YES, YES, YES, NO),
    "{ agreements { currency } }": (OUT, NO, YES, YES, YES, NO),
    "{ redemptionEstimates { rate } }": (OUT, NO, YES, YES, YES, NO),
    "{ accountingPolicies { pointValue } }": (OUT, NO, YES, YES, YES, NO),
    "{ liabilityAgeing { points } }": (OUT, NO, YES, YES, YES, NO),
    "{ liability { outstanding } }": (OUT, NO, YES, YES, YES, NO),
    '{ member(id: $MEMBER) { balance(asOf: "2026-01-01T00:00:00Z") { posted } } }': (
        OUT, YES, YES, YES, NO, NO),
    '{ member(id: $MEMBER) { statement(from: "2026-01-01T00:00:00Z") { closing } } }': (
        OUT, YES, NO, YES, NO, NO),
    "{ proposedAdjustments { nodes { points } } }": (OUT, NO, NO, YES, NO, NO),
    "{ reviewItems { nodes { reason } } }": (OUT, NO, NO, YES, NO, NO),
    "{ denials { nodes { times } } }": (OUT, NO, NO, YES, NO, NO),
    "{ matchRuns { number } }": (OUT, NO, NO, YES, NO, NO),
    "{ explainMatch(a: $MEMBER, b: $MEMBER) { bits } }": (OUT, NO, NO, "unavailable", NO, NO),
    "{ node(id: $REVIEW) { id } }": (OUT, NO, NO, YES, NO, NO),
    "{ member(id: $MEMBER) { attributes { value } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { adjustments { points } } }": (OUT, NO, NO, YES, NO, NO),
    "{ member(id: $MEMBER) { receivables { remaining } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { lineage { edges { method } } } }": (OUT, NO, NO, YES, NO, NO),
    "{ member(id: $MEMBER) { pool { members } } }": (OUT, YES, YES, YES, NO, NO),
    "{ mySessions { id } }": (OUT, YES, NO, NO, NO, NO),
    "{ myPasskeys { id } }": (OUT, YES, NO, NO, NO, NO),
    "{ clients { clientId } }": (OUT, NO, NO, NO, NO, YES),
    "{ deliveries { nodes { number } } }": (OUT, NO, YES, YES, NO, YES),
    "{ pullStreams { nodes { stream } } }": (OUT, NO, NO, YES, NO, YES),
    "{ webhookSubscriptions { code } }": (OUT, NO, YES, YES, NO, YES),
    "{ webhookDeliveries { nodes { number } } }": (OUT, NO, YES, YES, NO, YES),
    "{ member(id: $MEMBER) { tiers { tier } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { tierHistory { nodes { tier } } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { tierNotices { tier } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { tierAwards { tier } } }": (OUT, NO, NO, YES, NO, NO),
    "{ member(id: $MEMBER) { retentions { number } } }": (OUT, NO, NO, YES, NO, NO),
    "{ member(id: $MEMBER) { vouchers { nodes { code } } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { voucherNotices { voucher } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { occasions { year } } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { referralCode } }": (OUT, YES, YES, YES, NO, NO),
    "{ member(id: $MEMBER) { referrals { nodes { state } } } }": (OUT, YES, NO, YES, NO, NO),
    '{ voucherByCode(code: "ZZZZZZZZZZZZZZZZZ0") { number } }': (
        OUT, NO, "malformed", "malformed", "malformed", NO),
    "{ voucherCampaigns { nodes { code } } }": (OUT, NO, YES, YES, YES, NO),
    "{ voucherBatches { nodes { name } } }": (OUT, NO, NO, YES, NO, NO),
    '{ benefitCampaign(code: "spring") { code } }': (OUT, NO, NO, YES, NO, NO),
    '{ quote(cart: {lines: [{id: "a", unitPriceMinor: 5}]}, business: "shop") { __typename } }': (
        OUT, YES, YES, YES, NO, NO),
    "{ rewards { nodes { code } } }": (OUT, YES, YES, YES, YES, YES),
    '{ reward(code: "scarf") { code } }': (OUT, YES, YES, YES, YES, YES),
    "{ member(id: $MEMBER) { rewardOrders { nodes { number } } } }": (
        OUT, YES, YES, YES, NO, NO),
    "{ node(id: $ORDER) { id } }": (OUT, YES, YES, YES, NO, NO),
    "{ node(id: $PERIOD) { id } }": (OUT, NO, YES, YES, YES, NO),
}  # fmt: skip


@pytest.fixture
async def li(api: Api) -> Person:
    """A person known at the shop."""
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


async def test_every_read_against_every_role(api: Api, li: Person) -> None:
    who = dict(zip(ROLES, (None, li.principal, SHOP, STAFF, FINANCE, ADMIN), strict=True))
    ids = {
        "$MEMBER": gid("Member", li.member_id),
        "$SHOP": gid("Business", "shop"),
        "$REVIEW": gid("ReviewItem", 1),
        "$ORDER": gid("RewardOrder", 1),
        "$PERIOD": gid("SettlementPeriod", "2026-01"),
    }
    found = {}
    for query in TABLE:
        asked = query
        for name, value in ids.items():
            asked = asked.replace(name, f'"{value}"')
        answers = [await api.ask(asked, who[role]) for role in ROLES]
        found[query] = tuple(
            a["errors"][0]["extensions"]["code"] if "errors" in a else YES for a in answers
        )
    assert found == TABLE


async def test_notices_are_for_the_member_and_for_staff(api: Api, li: Person) -> None:
    async with api.engine.begin() as db:
        await db.execute(
            text("""
              INSERT INTO expiry_notice
                (member_id, unit, expires_on, days_ahead, points, state, given_at)
              VALUES (:member, 1, '2099-12-31', 30, 70, 'given', now()),
                (:member, 1, '2099-12-30', 30, 7, 'withdrawn', NULL)"""),
            {"member": li.member_id},
        )
    query = "query ($id: ID!) { member(id: $id) { expiryNotices { unit points daysAhead } } }"
    told = [{"unit": "points", "points": 70, "daysAhead": 30}]
    for who, seen in {li.principal: told, STAFF: told, SHOP: []}.items():
        member = (await api.data(query, who, id=gid("Member", li.member_id)))["member"]
        assert member == {"expiryNotices": seen}
    assert (await api.data(query, HOTEL, id=gid("Member", li.member_id)))["member"] is None
    for other, code in {FINANCE: NO, None: OUT}.items():
        answer = await api.ask(query, other, id=gid("Member", li.member_id))
        assert answer["errors"][0]["extensions"]["code"] == code


def test_the_table_leaves_no_read_out() -> None:
    reads = build_schema()._schema.query_type
    assert reads is not None
    assert {name for name in reads.fields if not any(name in query for query in TABLE)} == set()


async def test_thirty_members_cost_as_many_statements_as_one(api: Api) -> None:
    people = [
        await api.join("shop", f"c-{n}", phone=f"+86139102030{n:02}", name=f"Li {n}")
        for n in range(30)
    ]
    for person in people:
        await api.buy(person, "shop", 20)
    card = CARD[CARD.index("{ member(id: $id) {") + len("{ member(id: $id) ") : -1]
    query = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Member {card} }} }}"

    async def statements(ids: list[str]) -> int:
        api.served.clear()
        nodes = (await api.data(query, STAFF, ids=ids))["nodes"]
        assert all(node["entries"]["nodes"][1]["explain"] for node in nodes)
        return len(api.served)

    ids = [gid("Member", person.member_id) for person in people]
    await statements(ids[:1])  # how the programme is set up is read once
    one, thirty = await statements(ids[:1]), await statements(ids)
    assert thirty == one
    assert one <= 20


async def test_too_deep_too_wide_and_too_long_is_refused_before_it_runs(api: Api) -> None:
    deep = "{ a " * (MOST_DEPTH + 2) + "}" * (MOST_DEPTH + 2)
    wide = "{ " + " ".join(f"a{n}: __typename" for n in range(MOST_ALIASES + 1)) + " }"
    spread = (
        "query { ...A ...B } fragment A on Query { ...B ...C } fragment B on Query { ...C }"
        " fragment C on Query { " + " ".join(f"c{n}: __typename" for n in range(20)) + " }"
    )
    long = "{ " + "__typename " * MOST_TOKENS + "}"
    for query, why in {deep: "depth", wide: "aliases", spread: "aliases", long: "token"}.items():
        answer = await api.ask(query)
        assert answer["data"] is None
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"bad_request"}
        assert any(why in error["message"] for error in answer["errors"])
    assert "errors" not in await api.ask(get_introspection_query())


async def test_fragments_that_multiply_are_refused_at_once(api: Api) -> None:
    depth = 40
    twice = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(depth))
    bomb = f"{{ ...F0 }} {twice} fragment F{depth} on Query {{ __typename }}"
    async with asyncio.timeout(5):
        answer = await api.ask(bomb)
    assert answer["errors"][0]["extensions"]["code"] == "bad_request"
    assert "fields" in answer["errors"][0]["message"]


async def test_a_fragment_that_is_not_there_is_the_callers_mistake(api: Api) -> None:
    answer = await api.ask("{ ...Nowhere }")
    assert answer["errors"][0]["extensions"]["code"] == "bad_request"


@pytest.mark.parametrize(
    ("id_", "code"),
    [
        ("!!!", "bad_request"),
        ("", "bad_request"),
        (gid("Query", "1"), "malformed"),
        (gid("Member", "-1"), "malformed"),
        (gid("Member", "9" * 30), "malformed"),
        (gid("Member", "9" * 5000), "malformed"),
        (gid("Member", "١"), "malformed"),
        (gid("Business", "\0"), None),
        (gid("SettlementPeriod", "\0"), None),
    ],
)
async def test_a_made_up_id_leads_nowhere(api: Api, id_: str, code: str | None) -> None:
    answer = await api.ask("query ($id: ID!) { node(id: $id) { id } }", STAFF, id=id_)
    assert answer["data"] == {"node": None}
    assert [error["extensions"]["code"] for error in answer.get("errors", ())] == [code] * bool(
        code
    )


async def test_what_is_no_id_is_told_with_its_place(api: Api, li: Person) -> None:
    known, redeem = gid("Member", li.member_id), {"points": 1, "idempotencyKey": "k"}
    merge = {"members": [known, "nonsense"], "reason": "x"}
    places: list[tuple[str, str, dict[str, Any]]] = [
        ("query ($id: ID!) { member(id: $id) { id } }", "id", {"id": "nonsense"}),
        ("query ($a: ID!) { explainMatch(a: $a, b: \"\") { account } }", "b", {"a": known}),
        ("mutation ($input: RedeemInput!) { redeem(input: $input) { __typename } }",
         "input.member.id", {"input": {"member": {"id": "nonsense"}, **redeem}}),
        ("mutation ($input: MergeMembersInput!) { mergeMembers(input: $input) { __typename } }",
         "input.members", {"input": merge}),
    ]  # fmt: skip
    for query, place, variables in places:
        for _ in range(2):
            (error,) = (await api.ask(query, STAFF, **variables))["errors"]
            assert error["extensions"] == {"code": "bad_request", "field": place}
            assert "is no id of a node" in error["message"]


async def test_a_benefit_that_no_text_can_name_is_the_callers_mistake(api: Api, li: Person) -> None:
    use = """mutation ($input: UseEntitlementInput!) {
      useEntitlement(input: $input) { __typename ... on InvalidInput { field } } }"""
    asked = {"member": {"id": gid("Member", li.member_id)}, "benefit": "\0", "idempotencyKey": "k"}
    answer = await api.data(use, SHOP, input=asked)
    assert answer["useEntitlement"] == {"__typename": "InvalidInput", "field": "benefit"}


async def test_near_misses_are_not_suggested(api: Api) -> None:
    answer = await api.ask("{ programm { name } }")
    assert "Did you mean" not in answer["errors"][0]["message"]
    eager = await build_schema(debug=True).execute("{ programm { name } }")
    assert eager.errors is not None
    assert "Did you mean" in eager.errors[0].message


async def test_a_bug_is_told_by_reference_only(api: Api, li: Person) -> None:
    async with api.engine.begin() as db:
        await db.execute(text("ALTER TABLE balance RENAME TO gone"))
    answer = await api.ask("{ me { balance { posted } } }", li.principal)
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "internal"
    assert error["extensions"]["reference"] in error["message"]
    assert "balance" not in error["message"]


def test_the_committed_schema_is_the_schema() -> None:
    assert difference() == ""


def test_everything_public_says_what_it_is() -> None:
    silent = []
    for name, type_ in build_schema()._schema.type_map.items():
        if name.startswith("__") or name in ("String", "Int", "Boolean", "ID", "Float"):
            continue
        if not type_.description:
            silent.append(name)
        for field, declared in getattr(type_, "fields", {}).items():
            if not declared.description:
                silent.append(f"{name}.{field}")
            silent += [
                f"{name}.{field}({argument})"
                for argument, given in getattr(declared, "args", {}).items()
                if not given.description
            ]
    assert silent == []
