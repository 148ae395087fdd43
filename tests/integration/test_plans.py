"""No request and no delivery reads a table that grows from end to end."""

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.clock import now
from hub.entrypoints.scheduler import JOBS
from hub.jobs.schedule import fire_due
from hub.outbox.messages import claim
from tests.integration.api_kit import FINANCE, HOTEL, SHOP, STAFF, ZONE, Api
from tests.integration.test_graphql_card import gid
from tests.integration.test_graphql_reviews import SIDES, decide, queue, see
from tests.integration.test_graphql_tills import CAPTURE, HOLD, REDEEM, USE, VOID
from tests.integration.test_intake import NOWHERE, order, sent, taken
from tests.support.ledger import NOON
from tests.support.sandbox import Hub

# What grows with members, deliveries and time. The rest is configuration: a handful of rows.
GROWING = {
    "account", "account_key", "account_link", "account_profile", "balance", "business_fact",
    "delivery", "earn_basis", "earn_cap", "entitlement", "entitlement_use", "entry",
    "expiry_notice", "fact_reference", "hold", "identifier_claim", "ledger_transaction", "lot",
    "member", "member_tier", "obligation", "pin", "refund_basis", "review_item",
    "review_step", "shared_identifier", "verification",
}  # fmt: skip
CARD = """query ($id: ID!) { member(id: $id) { displayName tier { code } balance { available }
  expiringSoon expiryNotices { points } accounts { id } lots { id } holds { id }
  entitlements { benefit }
  entries { nodes { kind account { id } explain { ruleVersion } } } } }"""


def scanned(plan: dict[str, Any]) -> Iterable[str]:
    """The tables that a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from scanned(part)


async def scans(db: AsyncConnection, statements: Iterable[str]) -> dict[str, set[str]]:
    """The growing tables that each statement cannot but scan, whatever its parameters."""
    raw: Any = (await db.get_raw_connection()).driver_connection
    await raw.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
    found = {}
    for statement in set(statements):
        if not re.match(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b", statement):
            continue
        count = max(map(int, re.findall(r"\$(\d+)", statement)), default=0)
        nothing = f"({', '.join(['NULL'] * count)})" if count else ""
        await raw.execute(f"PREPARE asked AS {statement}")
        [explained] = await raw.fetchval(f"EXPLAIN (FORMAT json) EXECUTE asked{nothing}")
        await raw.execute("DEALLOCATE asked")
        found[statement] = set(scanned(explained["Plan"])) & GROWING
    return {statement: tables for statement, tables in found.items() if tables}


@pytest.fixture
def heard(engine: AsyncEngine) -> list[str]:
    """The statements that the test's engine executes."""
    statements: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", partial(_note, statements))
    return statements


def _note(statements: list[str], *facts: Any) -> None:
    statements.append(facts[2])


async def test_no_request_scans(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040")
    await api.buy(li, "shop", 2000)
    given = {"member": {"phone": "+8613910203040"}, "points": 100}
    await api.data(REDEEM, SHOP, input={**given, "idempotencyKey": "r"})
    held = (await api.data(HOLD, SHOP, input={**given, "idempotencyKey": "h"}))["hold"]["hold"]
    for verb in (CAPTURE, VOID):
        end = {"hold": held["id"], "points": 50, "idempotencyKey": verb[:20]}
        await api.data(verb, SHOP, input=end)
    used = {"member": given["member"], "benefit": "room-upgrade", "idempotencyKey": "u"}
    await api.data(USE, HOTEL, input=used)
    await api.data(CARD, STAFF, id=gid("Member", li.member_id))
    await see(api, "hotel", "g-1", phone="+8613910203040")
    [review] = [node["id"] for node in (await queue(api))["nodes"]]
    await api.data(SIDES, STAFF, id=review)
    for verb in ("acceptReview", "undoReview", "markNotTheSame"):
        await decide(api, STAFF, verb, review)
    await api.data("{ settlementPeriods { nodes { code } } }", FINANCE)
    async with api.engine.connect() as db:
        assert await scans(db, api.served) == {}
    assert len(set(api.served)) > 15


async def test_no_delivery_and_no_round_of_the_relay_scans(
    engine: AsyncEngine, database_url: str, heard: list[str]
) -> None:
    hub = Hub(engine, database_url)
    await hub.configure(NOWHERE)
    sale = order()
    refund = sale.refund(NOON, {0: 1})
    await taken(hub, sent(refund, "refunds/create"), sent(sale.document(NOON)))
    async with engine.begin() as db:
        await claim(db, now=now(), limit=10)
        await fire_due(db, jobs=JOBS, now=now(), time_zone=ZONE)
    ours = [s for s in heard if "FROM delivery ORDER BY 1, 2, 3" not in s]
    async with engine.connect() as db:
        assert await scans(db, ours) == {}
    assert len(set(ours)) > 15
