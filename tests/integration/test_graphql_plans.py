"""What is asked again is answered by a plan: the same bytes as by resolvers, in one statement."""

import asyncio
from typing import Any

import orjson
import pytest
import structlog
from sqlalchemy import text
from structlog.testing import capture_logs

from graphql_schema.schema import build_schema
from hub.clock import now
from hub.crypto.tokens import Principal
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid

CARD = """query ($id: ID!) { member(id: $id) {
  __typename id number displayName phone email shown: displayName(masked: true)
  tier { code name nameZh since qualifying progress { nextCode nextName nextNameZh missingPoints
    by } }
  balance { available posted held pending owed qualifying } expiringSoon
  expiryNotices { unit points expiresOn daysAhead givenAt }
  accounts { id externalId createdAt business { code name } }
  lots { id earned remaining expiresOn issuer { id code } }
  holds { id points captured voided remaining open expiresAt business { code } }
  pool { code openedAt members balance { available } }
  entitlements { benefit kind name nameZh startsOn endsOn granted used remaining sources
    offeredAt { code name kind currency country timeZone } } } }"""


@pytest.fixture
async def li(api: Api) -> Person:
    """A person with an account at the shop and one at the hotel, who bought at both."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷", email="lei@example.com")
    again = await api.join("hotel", "g-1", phone="+8613910203040", name="Li Lei")
    await api.buy(li, "shop", 800)
    await api.buy(Person(member_id=li.member_id, account_id=again.account_id), "hotel", 400)
    return li


class Both:
    """A schema that answers every operation twice: by its plan and by its resolvers."""

    def __init__(self, api: Api) -> None:
        self.api, self.schema = api, build_schema()

    async def ask(self, query: str, who: Principal | None, **variables: Any) -> tuple[bytes, bool]:
        """Return the answer, the same by both, and whether a plan gave it."""
        at = now()
        before = self.schema.plans.answered
        answers = []
        for ask in (self.schema.resolve, self.schema.execute):
            context = self.api.context(who, at=at)
            async with context:
                answers.append(
                    _bytes(await ask(query, variable_values=variables, context_value=context))
                )
        resolved, planned = answers
        assert planned == resolved
        return planned, self.schema.plans.answered > before

    async def reads(self) -> int:
        """Return how many reads of personal data are on record."""
        async with self.api.engine.connect() as db:
            return await db.scalar(text("SELECT count(*) FROM read_audit")) or 0


def _bytes(result: Any) -> bytes:
    errors = [error.formatted for error in result.errors or ()]
    return orjson.dumps({"data": result.data, "errors": errors})


@pytest.fixture
def both(api: Api) -> Both:
    return Both(api)


async def test_a_card_is_one_statement(both: Both, li: Person) -> None:
    for who in (STAFF, li.principal, HOTEL, SHOP):
        answer, planned = await both.ask(CARD, who, id=gid("Member", li.member_id))
        assert planned, who
        assert b'"errors":[]' in answer, answer


ENTRIES = """query (
  $first: Int, $after: String, $last: Int, $before: String, $kind: EntryKind, $business: String
) { me { entries(first: $first, after: $after, last: $last, before: $before, kind: $kind,
    business: $business) { __typename
  edges { __typename cursor node { __typename id kind unit points businessDate occurredAt postedAt
    transaction lot unitCode business { code } issuer { id name }
    account { id externalId business { code } } } }
  nodes { id } pageInfo { __typename hasNextPage hasPreviousPage startCursor endCursor } } } }"""


async def test_an_entry_tells_the_account_that_acted_to_who_may_see_it(
    both: Both, li: Person
) -> None:
    query = """query ($id: ID!) { member(id: $id) { entries { nodes {
      business { code } account { business { code } } } } } }"""
    for who, seen in ((STAFF, 4), (li.principal, 4), (HOTEL, 2), (SHOP, 2)):
        answer, planned = await both.ask(query, who, id=gid("Member", li.member_id))
        assert planned, who
        nodes = orjson.loads(answer)["data"]["member"]["entries"]["nodes"]
        assert len(nodes) == seen
        assert all(one["account"]["business"] == one["business"] for one in nodes)


async def test_a_history_is_one_statement_from_either_end(both: Both, li: Person) -> None:
    answer, _ = await both.ask(ENTRIES, li.principal)
    edges = orjson.loads(answer)["data"]["me"]["entries"]["edges"]
    assert len(edges) == 4
    for page in (
        {"first": 2},
        {"last": 3},
        {"first": 2, "after": edges[0]["cursor"]},
        {"last": 1, "before": edges[2]["cursor"]},
        {"first": 9, "after": edges[0]["cursor"], "before": edges[3]["cursor"]},
        {"kind": "EARN"},
        {"kind": "EXPIRE", "first": 1},
        {"business": "hotel", "after": edges[0]["cursor"]},
    ):
        answer, planned = await both.ask(ENTRIES, li.principal, **page)
        assert planned, page
        assert b'"errors":[]' in answer, answer
    for wrong in (
        {"first": 0},
        {"first": 2, "last": 2},
        {"after": "x"},
        {"business": "nowhere"},
        {"kind": "NOTHING"},
        {"first": 2**40},
    ):
        answer, planned = await both.ask(ENTRIES, li.principal, **wrong)
        assert not planned
        assert orjson.loads(answer)["errors"]


async def test_a_business_is_told_of_its_own_alone_by_a_plan_too(both: Both, li: Person) -> None:
    query = ENTRIES.replace("me {", f'member(id: "{gid("Member", li.member_id)}") {{')
    answer, planned = await both.ask(query, HOTEL)
    assert planned
    nodes = [one["node"] for one in orjson.loads(answer)["data"]["member"]["entries"]["edges"]]
    assert {node["business"]["code"] for node in nodes} == {"hotel"}
    assert await both.ask(query, DINER) == (b'{"data":{"member":null},"errors":[]}', True)
    for who in (FINANCE, None):
        answer, planned = await both.ask(query, who)
        assert not planned
        assert orjson.loads(answer)["errors"]


async def test_who_lifts_a_mask_is_on_record_whatever_was_planned(both: Both, li: Person) -> None:
    query = "query ($id: ID!, $m: Boolean) { member(id: $id) { phone(masked: $m) } }"
    id_ = gid("Member", li.member_id)
    _, planned = await both.ask(query, STAFF, id=id_, m=True)
    assert planned
    answer, planned = await both.ask(query, STAFF, id=id_, m=False)
    assert not planned
    assert b"+8613910203040" in answer
    assert await both.reads() == 2  # once by the resolvers, once where a plan left it to them
    answer, planned = await both.ask(query, li.principal, id=id_, m=False)
    assert planned
    assert b"+8613910203040" in answer
    assert await both.reads() == 2


async def test_whoever_presents_something_is_found_by_a_plan(both: Both, li: Person) -> None:
    found = """query ($by: Identifier!) { memberByIdentifier(presented: $by) { number displayName
      accounts { externalId } balance { available } } }"""
    search = "query ($by: Identifier!) { memberSearch(by: $by) { number displayName } }"
    for query, who in ((found, SHOP), (found, DINER), (search, STAFF)):
        await both.ask(query, who, by={"email": "nobody@example.com"})
        for by in ({"phone": "+86 139 1020 3040"}, {"email": "LEI@example.com"}):
            answer, planned = await both.ask(query, who, by=by)
            assert planned
            assert f'"number":"{li.member_id}"'.encode() in answer
        for left in ({"phone": "139 1020 3040"}, {"email": ""}, {}, {"phone": "1", "email": "2"}):
            assert not (await both.ask(query, who, by=left))[1]
        for other in (STAFF if who is not STAFF else SHOP, FINANCE, None):
            assert not (await both.ask(query, other, by={"email": "lei@example.com"}))[1]


LIST = """query ($first: Int, $after: String, $last: Int, $before: String) {
  members(first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { number displayName tier { code } balance { available }
      entries(first: 1) { nodes { points } } lots { remaining issuer { code } } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


async def test_a_list_of_members_is_one_statement(both: Both, api: Api, li: Person) -> None:
    for n in range(5):
        await api.join("shop", f"more-{n}", name=f"Guest {n}", email=f"guest-{n}@example.com")
    answer, _ = await both.ask(LIST, STAFF)
    edges = orjson.loads(answer)["data"]["members"]["edges"]
    assert [edge["node"]["number"] for edge in edges][-1] == str(li.member_id)
    assert edges[-1]["node"]["balance"] == {"available": 1200}
    assert len(edges) == 6
    for page in (
        {"first": 2},
        {"last": 2},
        {"first": 3, "after": edges[1]["cursor"]},
        {"last": 3, "before": edges[4]["cursor"]},
        {"first": 100, "after": edges[-1]["cursor"]},
    ):
        answer, planned = await both.ask(LIST, STAFF, **page)
        assert planned, page
        assert b'"errors":[]' in answer
    for who in (li.principal, SHOP, FINANCE, None):
        answer, planned = await both.ask(LIST, who)
        assert not planned
        assert orjson.loads(answer)["errors"]


@pytest.mark.parametrize(
    "query",
    [
        "{ me { ...a number } } fragment a on Member { id ...b } fragment b on Node { id }",
        "{ a: me { x: number tier { code } } b: me { tier { name } balance { held } } }",
        "{ me { tier { code } tier { name ... on Tier { since } } } }",
        "query ($t: Boolean!) { me { number @include(if: $t) tier @skip(if: $t) { code } } }",
        "query ($t: Boolean!) { me @skip(if: $t) { number } programme @include(if: $t) { name } }",
        "query ($n: Int = 7) { me { expiringSoon(withinDays: $n) a: expiringSoon(withinDays: 9)}}",
        "{ me { expiringSoon(withinDays: -1) } }",
        "{ me { balance(asOf: null) { available } } }",
        "{ me { pool { code members balance { available } } holds { points } } }",
        "{ me { ... @include(if: true) { number } ... @skip(if: true) { id } } }",
        '{ member(id: "nonsense") { id } me { id } }',
        '{ member(id: "TWVtYmVyOjE=") { number entries(first: 1) { nodes { kind } } } }',
        "{ me { __typename } __typename }",
        "{ __schema { queryType { name } } me { id } }",
    ],
)
async def test_whatever_the_form_both_answer_alike(both: Both, li: Person, query: str) -> None:
    for t in (True, False):
        for who in (li.principal, STAFF, SHOP, FINANCE, None):
            await both.ask(query, who, **({"t": t} if "$t" in query else {}))


async def test_a_plan_reads_once_and_resolvers_field_by_field(api: Api, li: Person) -> None:
    id_ = gid("Member", li.member_id)
    # A text that nobody sent before has its plan at once. The set-up is read once for all.
    new = await api.data(f"{CARD} # {li.account_id}", li.principal, id=id_)
    assert len(api.served) == 1
    assert "setup_edition" in api.served.pop()
    assert await api.data(f"{CARD} # {li.account_id}", li.principal, id=id_) == new
    assert len(api.served) == 0  # nothing went the way that resolvers' statements go
    unplanned = CARD.replace("id number", "id number consents { purpose }", 1)
    resolved = await api.data(unplanned, li.principal, id=id_)
    assert len(api.served) > 5
    assert resolved["member"].pop("consents") == []
    assert resolved == new


async def test_an_error_on_one_branch_leaves_what_another_waits_for(both: Both, li: Person) -> None:
    query = """{ a: me { entries(first: 0) { nodes { id } } entitlements { benefit } }
      b: me { entitlements { benefit } } }"""
    answer, _ = await both.ask(query, li.principal)
    got = orjson.loads(answer)
    assert got["data"] == {"a": None, "b": {"entitlements": [{"benefit": "room-upgrade"}]}}
    assert [error["path"] for error in got["errors"]] == [["a", "entries"]]


async def test_connections_that_were_lost_are_replaced(
    both: Both, api: Api, li: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A logger that was used before is set up for good, and nothing of it is captured.
    monkeypatch.setattr("graphql_schema.plan.plans.log", structlog.get_logger())
    query = "{ me { number } }"
    assert (await both.ask(query, li.principal))[1]
    await api.data(query, li.principal)
    async with both.api.engine.connect() as db:
        await db.execute(
            text("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid()""")
        )
    with capture_logs() as logs:
        sent = [
            await api.client.post(
                "/graphql", json={"query": query}, headers=api.token(li.principal)
            )
            for _ in range(6)
        ]
    assert [line["error"] for line in logs if line["event"] == "plan_failed"]
    assert sent[-1].json() == {"data": {"me": {"number": str(li.member_id)}}}


async def test_more_plans_at_once_than_connections_are_all_answered(api: Api, li: Person) -> None:
    id_ = gid("Member", li.member_id)
    first = await api.data(CARD, li.principal, id=id_)
    answers = await asyncio.gather(*(api.data(CARD, li.principal, id=id_) for _ in range(40)))
    assert all(answer == first for answer in answers)
