"""The second wall: what the database shows a reader, whatever a statement asks."""

from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.applications import Starlette

from graphql_schema import access
from hub.crypto.tokens import Principal
from hub.db.bound import RowsUnprotected, refuse_bypass
from hub.db.caller import Caller, reading_as
from hub.members.queries import known
from tests.integration.api_kit import FINANCE, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid
from tests.support import stack
from tests.support.many import fill

M, B, S, F = "hub_member", "hub_business", "hub_staff", "hub_finance"
A = "hub_admin"
READERS = (M, B, S, F, A)
# Who is shown rows of a table, each its own: of the members' tables, of those between businesses.
SORTED: dict[tuple[str, ...], set[str]] = {
    (M, B, S): {
        "account", "account_key", "account_link", "account_profile", "balance", "business_fact",
        "consent", "earn_basis", "entitlement", "entitlement_entry", "entitlement_hold",
        "entitlement_use", "expiry_notice", "hold", "membership_fact", "membership_gift",
        "membership_term",
        "hold_moved", "identifier_claim", "ledger_transaction", "lot_extension", "member",
        "member_edge", "member_tier", "moved_in_year", "pin", "pool", "pool_member",
        "qualifying_activity", "tier_award", "tier_notice", "voucher", "voucher_entry",
        "voucher_hold", "voucher_key", "voucher_notice", "voucher_request",
        "redemption_purpose", "redress_origin", "refund_basis", "reward_order", "reward_order_step",
        "shortfall",
    },
    (M, B): {"verification"},
    (M, S): {"occasion_grant", "referral", "referral_gift"},
    (M,): {"member_session", "passkey"},
    (A,): {"api_client", "api_client_secret"},
    (B, S): {"reward_stock_entry"},
    (B, S, A): {"connection", "delivery", "event_delivery", "hub_event", "subscription"},
    (S, A): {"pull_stream"},
    (M, B, S, F): {"entry", "lot"},
    (M, B, S, F, A): {"credit_standing"},
    (B, S, F): {
        "accounting_policy", "agreement", "agreement_rate", "agreement_tax", "benefit_campaign",
        "bilateral",
        "correction", "dispute", "dispute_held", "dispute_line", "dispute_message", "entry_daily",
        "entry_daily_seen", "journal", "journal_line", "journal_posting", "liability_cohort",
        "liability_movement", "net_position", "obligation", "occupancy", "opening_liability",
        "payment", "payment_account", "period_flow", "period_frozen", "period_sale",
        "price_allocation", "recognition", "reconciliation_book", "reconciliation_break",
        "reconciliation_break_event", "reconciliation_break_row", "reconciliation_file",
        "reconciliation_hub_row", "reconciliation_mapping", "reconciliation_match",
        "reconciliation_match_row", "reconciliation_partner_row", "reconciliation_run",
        "redemption_estimate", "settlement_due", "settlement_fund", "settlement_gross",
        "settlement_period", "settlement_step", "statement", "statement_signature",
    },
    (S, F): {
        "chart_account", "chart_books", "reconciliation_apart", "settlement_check",
        "settlement_close_request", "settlement_event", "settlement_waiver",
    },
    (S,): {
        "adjustment", "denial", "erasure", "match_change", "match_model", "match_run", "match_step",
        "non_match", "retention", "review_item", "review_step", "shared_identifier",
        "voucher_batch", "voucher_block",
    },
}  # fmt: skip
# How the programme is set up is for everybody.
OPEN = {
    "acceptance_rule", "activation_policy", "benefit", "benefit_terms", "business",
    "clawback_policy", "clearing_account", "earning_rule", "exchange_rate", "expiry_policy",
    "ladder", "ladder_terms", "legal_entity", "membership_plan",
    "membership_plan_terms", "occasion", "occasion_terms", "point_unit",
    "referral_terms",
    "points_policy", "programme", "reward",
    "reward_stock", "reward_terms", "settlement_calendar", "setup_edition",
    "source_rank", "tier", "tier_terms", "till_policy", "voucher_campaign", "voucher_terms",
}  # fmt: skip
# No reader is granted these, so that no policy is needed: what is done with deliveries,
# the audit, and what a match fills by COPY, which policies forbid.
CLOSED = {
    "alembic_version", "birthday_index", "check_out", "denial_seal",
    "earn_cap", "egress_seen", "event_due", "fact_found", "fact_reference",
    "job_run", "match_feature", "match_pair", "opening_import", "outbox_message",
    "passkey_challenge", "refresh_token", "points_paid_bill", "points_paid_refund",
    "read_audit", "read_audit_anchor", "read_audit_head", "room_charge",
    "till_basket", "till_basket_line", "till_basket_offer", "till_refund",
}  # fmt: skip
# Rows of the whole group, without anybody's in them: every business sees all.
OF_THE_GROUP = {
    "voucher_key",
    "entry_daily_seen", "journal_posting", "period_frozen", "recognition", "settlement_period",
    "settlement_step",
}  # fmt: skip
# Seen by others than those that it names: how, is in the test below.
BY_STATE = {"credit_standing"}
# Of these readers see some columns alone.
BY_COLUMN = {
    "credit_standing": "issuer_id", "payment_account": "payment_account_id",
    "connection": "code", "delivery": "delivery_id", "hub_event": "event_id",
    "subscription": "code", "pull_stream": "stream_id",
}  # fmt: skip
PROTECTED = set().union(*SORTED.values())
SEEDED = {
    table
    for readers, tables in SORTED.items()
    for table in tables - OF_THE_GROUP
    if {M, B}.intersection(readers)
}

GRANTED = text("""
SELECT c.relname, array(SELECT r FROM unnest(CAST(:readers AS text[])) r
  WHERE has_any_column_privilege(r, c.oid, 'SELECT')) AS readers,
  c.relrowsecurity AND c.relforcerowsecurity AS bound,
  EXISTS (SELECT FROM unnest(CAST(:readers AS text[])) r
    WHERE has_any_column_privilege(r, c.oid, 'INSERT, UPDATE')
      OR has_table_privilege(r, c.oid, 'DELETE, TRUNCATE')) AS written
FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relnamespace = 'public'::regnamespace""")


async def test_every_table_is_shown_to_whom_it_is_meant_for(db: AsyncConnection) -> None:
    found: dict[tuple[str, ...], set[str]] = {}
    opened, closed = set(), set()
    for table, readers, bound, written in await db.execute(GRANTED, {"readers": list(READERS)}):
        assert not written, table
        if bound:
            found.setdefault(tuple(readers), set()).add(table)
        elif readers:
            opened.add(table)
        else:
            closed.add(table)
    assert (found, opened, closed) == (SORTED, OPEN, CLOSED)


async def test_a_member_is_found_by_number_without_reading_the_others(api: Api) -> None:
    async with api.engine.begin() as db:
        await fill(db, 2_000, of="persons")
        # Where nobody is known to be, to read all costs as much as to look up one.
        await db.execute(text("ANALYZE member, account, account_link"))
    sought = known(access.sees_member(SHOP)).statement
    facts = {"member_ids": [1], "business": "shop"}
    db = await reading_as(api.readers, access.reader(SHOP))
    try:
        plan = list(await db.scalars(text(f"EXPLAIN {sought.text}"), facts))
    finally:
        await db.close()
    assert [line for line in plan if "Index Cond: (member_id = CASE" in line], plan
    assert not [line for line in plan if "Seq Scan on member" in line], plan


async def test_a_view_shows_no_more_than_its_tables(db: AsyncConnection) -> None:
    found = await db.scalars(
        text("""SELECT relname FROM pg_class WHERE relkind = 'v'
          AND relnamespace = 'public'::regnamespace
          AND NOT coalesce(reloptions @> '{security_invoker=true}', false)""")
    )
    assert list(found) == []


COLUMNS = text("""
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type,
  t.typcategory::text AS typcategory
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relname = ANY (CAST(:tables AS text[])) AND NOT a.attisdropped AND a.attgenerated = ''
  AND c.relnamespace = 'public'::regnamespace AND (a.attnotnull OR a.attname = ANY (
    ARRAY['member_id', 'account_id', 'business_id', 'issuer_id', 'company_id', 'legal_entity_id']))
ORDER BY c.relname, a.attnum""")
UNBIND = text("""
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname)
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
WHERE contype IN ('c', 'f', 'x') AND NOT t.relispartition AND coninhcount = 0
  AND t.relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index
WHERE indisunique AND indpred IS NOT NULL AND indrelid::regclass::text = ANY (
  SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace)""")
PARTIES = {"debtor_id", "creditor_id", "acceptor_id", "issuer_id", "company_id", "funder_id",
           "counterparty_id", "owner_id", "business_id"}  # fmt: skip
REAL = {"member", "account", "account_link", "account_key", "account_profile", "entry", "balance"}


def literal(column: Any, n: int, person: Person, business_id: int) -> str:
    """Return a value for a column of a row that is of one person and one business alone."""
    known = {"member_id": person.member_id, "account_id": person.account_id,
             "low_member_id": person.member_id, "legal_entity_id": business_id}  # fmt: skip
    known |= dict.fromkeys(PARTIES, business_id)
    known |= dict.fromkeys(("referrer_account_id", "referred_account_id"), person.account_id)
    if column.attname in known:
        return str(known[column.attname])
    by_category = {"B": "true", "D": f"'2031-01-0{n}'", "A": "'{}'", "R": "'empty'"}
    by_type = {"jsonb": "'{}'", "bytea": f"'\\x0{n}'", "pg_snapshot": "'1:1:'"}
    by_type["uuid"] = f"'00000000-0000-0000-0000-00000000000{n}'"
    if column.typcategory == "N":
        return str(n if "(" in column.type else 9000 + n)
    return by_category.get(column.typcategory) or by_type.get(column.type, f"'{n}'")


@pytest.fixture
async def pair(api: Api) -> list[Person]:
    """Two strangers, customers of one business each, who have a row of their own in every table.

    The rows are made up column by column, without the constraints that would make sense of them.
    """
    people = [await api.join("shop", "c-1", name="A"), await api.join("hotel", "g-1", name="B")]
    for person, business in zip(people, ("shop", "hotel"), strict=True):
        await api.buy(person, business, 1200)
    async with api.engine.begin() as db:
        await db.execute(text("SET LOCAL session_replication_role = replica"))
        for drop in list(await db.scalars(UNBIND)):
            await db.execute(text(drop))
        tables: dict[str, list[Any]] = {}
        for column in await db.execute(COLUMNS, {"tables": list((SEEDED - REAL) | {"reward"})}):
            tables.setdefault(column.relname, []).append(column)
        for table, columns in tables.items():
            await db.execute(text(f"DELETE FROM {table}"))
            for n, person in enumerate(people, 1):
                values = ", ".join(
                    f"CAST({literal(column, n, person, n)} AS {column.type})" for column in columns
                )
                names = ", ".join(column.attname for column in columns)
                await db.execute(
                    text(
                        f"""INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE
                      SELECT {values}
                      """.replace(":", "\\:")
                    )
                )
    assert api.ids == {"shop": 1, "hotel": 2, "diner": 3}
    return people


async def shown(db: AsyncConnection, tables: Iterable[str]) -> dict[str, int]:
    """Return how many rows of each table a reader is shown."""
    found = {}
    for table in sorted(tables):
        what = BY_COLUMN.get(table, "tableoid, ctid")
        rows = await db.execute(text(f"SELECT {what} FROM {table}"))
        found[table] = len(rows.all())
    return found


async def of(api: Api, caller: Caller, tables: Iterable[str]) -> dict[str, int]:
    db = await reading_as(api.readers, caller)
    try:
        return await shown(db, tables)
    finally:
        await db.close()


def tables_of(reader: str) -> set[str]:
    return set().union(*(tables for readers, tables in SORTED.items() if reader in readers))


async def test_each_reader_is_shown_its_own_rows_and_nobody_none(
    api: Api, pair: list[Person]
) -> None:
    async with api.engine.connect() as db:
        whole = await shown(db, PROTECTED)
    assert not [table for table, rows in whole.items() if rows < 2 and table in SEEDED]
    for reader in (M, B):
        unset = await of(api, Caller(role=reader), tables_of(reader) - OF_THE_GROUP - BY_STATE)
        assert set(unset.values()) == {0}, unset
    for reader in (S, F):
        everything = await of(api, Caller(role=reader), tables_of(reader))
        assert everything == {table: whole[table] for table in tables_of(reader)}

    callers: list[tuple[str, Principal, Principal]] = [
        (M, pair[0].principal, pair[1].principal), (B, SHOP, HOTEL)]  # fmt: skip
    for reader, one, other in callers:
        tables = tables_of(reader) - OF_THE_GROUP - BY_STATE
        mine = await of(api, access.reader(one), tables)
        theirs = await of(api, access.reader(other), tables)
        # Each is shown something, and together no more than there is: nothing is shown twice.
        assert not [t for t in tables if not mine[t] or not theirs[t]], reader
        assert {t: mine[t] + theirs[t] for t in tables} == {t: whole[t] for t in tables}, reader


async def test_finance_is_shown_nothing_that_names_a_person(api: Api, pair: list[Person]) -> None:
    personal = {"account_profile", "account_key", "identifier_claim", "member", "pin", "consent"}
    assert not tables_of(F) & personal
    db = await reading_as(api.readers, access.reader(FINANCE))
    with pytest.raises(Exception, match="permission denied for table account_profile"):
        await db.execute(text("SELECT * FROM account_profile"))
    await db.close()


async def test_a_condition_that_is_forgotten_shows_nothing_foreign(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040", name="Li")
    han = await api.join("hotel", "g-1", phone="+8613910203041", name="Canary")
    await api.buy(han, "hotel", 4321)
    monkeypatch.setattr(access, "sees_member", lambda _: "true")
    monkeypatch.setattr("graphql_schema.finding.sees_member", lambda _: "true")
    query = """query ($id: ID!) { member(id: $id) { number displayName phone
      balance { posted } accounts { externalId } lots { earned }
      entries(first: 5) { nodes { points } } } }"""
    id_ = gid("Member", han.member_id)
    for who in (li.principal, SHOP):
        for _ in range(2):  # the resolvers, then the plan
            answer = await api.ask(query, who, id=id_)
            assert answer["data"] == {"member": None}, answer
            assert "errors" not in answer
    own = await api.data(query, HOTEL, id=id_)
    assert own["member"]["balance"]["posted"] == 4321
    assert (await api.data(query, STAFF, id=id_))["member"]["displayName"] == "C***"


async def test_a_connection_is_nobodys_once_it_has_read(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040")
    by_phone = (
        "query ($phone: String!) { memberByIdentifier(presented: {phone: $phone}) { number } }"
    )
    for _ in range(2):  # the resolvers, then the plan
        await api.data("{ me { number } }", li.principal)
        await api.data(by_phone, HOTEL, phone="+8613910203040")
    assert isinstance(api.app.app, Starlette)
    readers = api.app.app.state.hub.readers
    for _ in range(readers.pool.checkedin()):
        async with readers.connect() as db:
            row = await db.execute(
                text("""SELECT caller_members() || caller_presented(), caller_business(),
                  (SELECT count(*) FROM member)""")
            )
            assert row.one() == ([], None, 0)


async def test_a_role_that_can_go_past_the_policies_is_refused(
    api: Api, postgres_url: str, db: AsyncConnection
) -> None:
    await refuse_bypass(db)
    superuser = await stack.superuser(postgres_url)
    for power in ("SUPERUSER", "BYPASSRLS"):
        await superuser.execute(f"ALTER ROLE hub {power}")
        try:
            with pytest.raises(RowsUnprotected, match="hub migrate --superuser"):
                await refuse_bypass(db)
            ready = await api.client.get("/readyz")
            assert ready.status_code == 503
            assert "every row" in ready.json()["checks"]["database"]
        finally:
            await superuser.execute(f"ALTER ROLE hub NO{power}")
    await superuser.close()
    assert (await api.client.get("/readyz")).status_code == 200
