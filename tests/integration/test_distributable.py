"""The ledger keeps a shape that can be spread over servers by member, as Citus does it.

What fails there: a unique key without the column that rows are spread by, triggers but those that
are allowed, identity columns and foreign keys, a row that changes its place, and a lock on rows of
several servers in one statement.
"""

import ast
import re
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.tidy import ROOT

# What is spread, and by which column. The header is its own record of idempotency: it is found by
# the key that its source gave it, before anyone knows whose it is.
SPREAD = {
    **dict.fromkeys(
        ("balance", "check_out", "earn_basis", "earn_cap", "entry", "expiry_notice", "hold",
         "hold_moved", "lot", "lot_extension", "moved_in_year", "pool_member",
         "redemption_purpose", "redress_origin", "refund_basis", "shortfall"), "member_id"),
    "ledger_transaction": "idempotency_key",
}  # fmt: skip
# What names members and is not spread: people and benefits, facts and what settlement reads.
KEPT_WHOLE = {
    "account_link", "adjustment", "business_fact", "consent", "entitlement", "entitlement_use",
    "erasure", "event_due", "hub_event", "identifier_claim", "member", "member_edge",
    "member_session", "member_tier", "membership_fact", "membership_term", "non_match",
    "obligation", "occasion_grant", "passkey", "passkey_challenge", "read_audit",
    "retention", "review_item", "reward_order", "tier_award", "tier_notice", "verification",
    "till_basket", "voucher", "voucher_entry", "voucher_notice", "voucher_request",
}  # fmt: skip
# Statement triggers that keep history; each must be allowed by name (citus.enable_unsafe_triggers).
ALLOWED = {
    "earn_basis_append_only", "entry_append_only", "hold_moved_append_only",
    "ledger_transaction_kept", "lot_extension_append_only", "redemption_purpose_append_only",
    "redress_origin_append_only", "refund_basis_append_only",
}  # fmt: skip
OF_ROWS = 1  # the bit of pg_trigger.tgtype that says FOR EACH ROW

UNIQUE = """
SELECT i.indexrelid::regclass || ' is unique without ' || s.key
FROM spread s JOIN pg_index i ON i.indrelid = s.oid
WHERE (i.indisunique OR i.indisexclusion) AND NOT EXISTS (
  SELECT 1 FROM pg_attribute a WHERE a.attrelid = s.oid AND a.attname = s.key
    AND a.attnum = ANY (i.indkey))"""
TRIGGERS = f"""
SELECT tgname || ' on ' || s.name || ' is a trigger that is not allowed'
FROM spread s JOIN pg_trigger t ON t.tgrelid = s.oid
WHERE NOT tgisinternal AND (tgtype & {OF_ROWS} = {OF_ROWS} OR tgname <> ALL (:allowed))"""
IDENTITIES = """
SELECT s.name || '.' || attname || ' is numbered by the table'
FROM spread s JOIN pg_attribute a ON a.attrelid = s.oid WHERE attidentity <> ''"""
FOREIGN = """
SELECT conname || ' is a foreign key of a table that is spread'
FROM pg_constraint WHERE contype = 'f'
  AND (conrelid IN (SELECT oid FROM spread) OR confrelid IN (SELECT oid FROM spread))"""


async def wrong_in_catalog(db: AsyncConnection) -> list[str]:
    """What the tables that are spread, and their partitions, must not have."""
    found: list[str] = []
    for query in (UNIQUE, TRIGGERS, IDENTITIES, FOREIGN):
        facts = {"names": list(SPREAD), "keys": list(SPREAD.values())}
        if query is TRIGGERS:
            facts["allowed"] = sorted(ALLOWED)
        rows = await db.scalars(
            text(f"""
              WITH spread AS (
                SELECT coalesce(i.inhrelid, r.oid) AS oid, x.name, x.key
                FROM unnest(CAST(:names AS text[]), CAST(:keys AS text[])) AS x (name, key)
                JOIN pg_class r ON r.oid = x.name::regclass
                LEFT JOIN LATERAL (SELECT inhrelid FROM pg_inherits WHERE inhparent = r.oid
                  UNION ALL SELECT r.oid) i ON true
              ) {query} ORDER BY 1"""),
            facts,
        )
        found += rows
    return found


async def unsorted(db: AsyncConnection) -> set[str]:
    """Tables that name members, of which nobody has said where they lie."""
    rows = await db.scalars(
        text("""
          SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
          WHERE a.attname LIKE '%member_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND c.relnamespace = 'public'::regnamespace""")
    )
    return set(rows) - set(SPREAD) - KEPT_WHOLE


_SPREAD = "|".join(sorted(SPREAD))
_MOVES = re.compile(rf"UPDATE\s+({_SPREAD})\b(?:(?!\bWHERE\b|;).)*?\bmember_id\s*=", re.S | re.I)
_LOCKS = re.compile(
    rf"\b(?:FROM|JOIN)\s+(?:{_SPREAD})\b(?P<where>(?:(?!\bSELECT\b|;).)*?)\bFOR\s+(?:NO\s+KEY\s+)?UPDATE",
    re.S | re.I,
)
_ONE_MEMBER = re.compile(r"\bmember_id = (?!ANY\b)", re.I)


def wrong_in_statement(sql: str) -> Iterator[str]:
    """Yield what a statement, or a function's body, does that only one server could do."""
    plain = re.sub(r"--[^\n]*", "", sql)
    for found in _MOVES.finditer(plain):
        yield f"a row is moved to another member: {found[0][:60]!r}"
    for found in _LOCKS.finditer(plain):
        if not _ONE_MEMBER.search(found["where"]):
            yield f"a lock that does not name one member: {found[0][:60]!r}"


def statements() -> Iterator[tuple[str, str]]:
    """Every text in the hub's modules that may be SQL, with where it stands."""
    for path in sorted((ROOT / "hub").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


async def functions(db: AsyncConnection) -> list[tuple[str, str]]:
    """The bodies of the database's own functions."""
    rows = await db.execute(
        text("""
          SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            AND prolang IN (SELECT oid FROM pg_language WHERE lanname IN ('sql', 'plpgsql'))""")
    )
    return [(row.proname, row.prosrc) for row in rows]


async def test_every_table_that_names_members_has_its_place(db: AsyncConnection) -> None:
    assert await unsorted(db) == set()


async def test_keys_triggers_and_columns_can_be_spread(db: AsyncConnection) -> None:
    assert await wrong_in_catalog(db) == []


async def test_statements_can_be_spread(db: AsyncConnection) -> None:
    everything = [*statements(), *await functions(db)]
    assert len(everything) > 1000
    assert sum("FOR UPDATE" in sql for _, sql in everything) > 5
    wrong = [f"{where}: {what}" for where, sql in everything for what in wrong_in_statement(sql)]
    assert wrong == []


@pytest.mark.parametrize(
    ("ddl", "complaint"),
    [
        ("CREATE UNIQUE INDEX one ON lot (lot_id)", "is unique without"),
        ("CREATE UNIQUE INDEX one ON ledger_transaction (tx_id)", "is unique without"),
        ("ALTER TABLE hold ADD one int GENERATED ALWAYS AS IDENTITY", "is numbered by"),
        ("ALTER TABLE lot ADD FOREIGN KEY (unit) REFERENCES point_unit", "is a foreign key"),
        (
            "CREATE TRIGGER one BEFORE UPDATE ON balance FOR EACH ROW "
            "EXECUTE FUNCTION forbid_change()",
            "is a trigger",
        ),
        (
            "CREATE TRIGGER one BEFORE UPDATE ON entry_past FOR EACH STATEMENT "
            "EXECUTE FUNCTION forbid_change()",
            "is a trigger",
        ),
    ],
)
async def test_what_cannot_be_spread_is_noticed(
    db: AsyncConnection, ddl: str, complaint: str
) -> None:
    await db.execute(text(ddl))
    [said] = await wrong_in_catalog(db)
    assert complaint in said


async def test_a_table_without_a_place_is_noticed(db: AsyncConnection) -> None:
    await db.execute(text("CREATE TABLE stray (member_id bigint)"))
    assert await unsorted(db) == {"stray"}


@pytest.mark.parametrize(
    ("sql", "wrong"),
    [
        ("SELECT 1 FROM balance WHERE member_id = :m ORDER BY unit FOR UPDATE", False),
        ("PERFORM 1 FROM balance WHERE member_id = m FOR UPDATE;", False),
        ("SELECT 1 FROM balance WHERE member_id = ANY (:m) ORDER BY 1 FOR UPDATE", True),
        ("SELECT 1 FROM balance WHERE unit = 1 FOR UPDATE", True),
        ("SELECT 1 FROM lot l JOIN hold USING (member_id) FOR NO KEY UPDATE", True),
        ("SELECT * FROM balance; SELECT 1 FROM outbox_message FOR UPDATE", False),
        ("UPDATE lot SET remaining = 0 WHERE member_id = 1", False),
        ("UPDATE lot SET remaining = 0, member_id = 2 WHERE lot_id = 1", True),
    ],
)
def test_a_statement_that_needs_one_server_is_noticed(sql: str, wrong: bool) -> None:
    assert bool(list(wrong_in_statement(sql))) is wrong
