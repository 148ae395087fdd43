"""The SQL that rules are made of: the open rows of both sides, and what it means to agree.

Pure text. Words in braces are filled from a leg, which is ours; facts of a run are parameters.
"""

from datetime import datetime
from typing import Any

from hub.reconciliation.codes import Leg, Role, Rule
from hub.reconciliation.runs import REACH, Run
from hub.settlement.codes import Source

# What nothing has consumed yet is put aside at the beginning of a step: the planner then counts it,
# and does not guess that all rows but one are gone.
OPEN_PARTNER = """
CREATE TEMP TABLE reconciliation_open_partner ON COMMIT DROP AS
SELECT p.* FROM reconciliation_partner_row p
WHERE p.book_id = CAST(:book_id AS smallint) AND p.leg = {leg} AND p.superseded_by IS NULL
  AND p.day BETWEEN CAST(:reach_from AS date) AND CAST(:reach_to AS date)
  AND NOT EXISTS (SELECT FROM reconciliation_match_row c
    WHERE c.row_id = p.row_id AND c.leg = {leg} AND c.live)"""
# A correction that a break of this book brought about is in the book already.
OPEN_HUB = """
CREATE TEMP TABLE reconciliation_open_hub ON COMMIT DROP AS
SELECT h.*, h.{other} AS counterparty_id, h.amount_minor + h.remainder AS exact
FROM reconciliation_hub_row h
WHERE h.{own} = CAST(:business_id AS smallint) AND {payments}
  AND h.day BETWEEN CAST(:reach_from AS date) AND CAST(:reach_to AS date)
  AND NOT EXISTS (SELECT FROM reconciliation_match_row c
    WHERE c.row_id = h.row_id AND c.leg = {leg} AND c.live)
  AND NOT (h.source = {correction} AND EXISTS (SELECT FROM reconciliation_break b
    WHERE b.book_id = CAST(:book_id AS smallint) AND b.correction_id = h.tx_id))"""
PARTNER = "p AS (SELECT * FROM reconciliation_open_partner)"
HUB = "h AS (SELECT * FROM reconciliation_open_hub)"
# What the hub has in reach under a name that a row bears, consumed or not.
KNOWN = """
known AS (
  SELECT h.names, h.{other} AS counterparty_id FROM reconciliation_hub_row h
  WHERE h.{own} = CAST(:business_id AS smallint) AND {payments}
    AND h.day BETWEEN CAST(:reach_from AS date) AND CAST(:reach_to AS date)
    AND h.names IN (SELECT names FROM p)
)"""
# Rows that name nothing the hub knows go by their figures. What a row says twice under its own
# reference is a duplicate, and takes nothing from a row like it; neither does anything take what
# another row names.
UNNAMED = f"""{PARTNER}, {HUB}, {KNOWN}, pu AS (
  SELECT p.* FROM p WHERE NOT EXISTS (SELECT FROM known k WHERE k.names = p.names)
    AND (p.copy = 1 OR p.reference = '#' || p.digest)
), hu AS (
  SELECT h.* FROM h WHERE NOT EXISTS (SELECT FROM p WHERE p.names = h.names)
)"""  # noqa: S608 - constants of ours
SAME_PARTY = "(p.counterparty_id IS NULL OR p.counterparty_id = h.counterparty_id)"
NOT_APART = """NOT EXISTS (SELECT FROM reconciliation_apart a
  WHERE a.partner_row_id = p.row_id AND a.hub_row_id = h.row_id AND a.leg = {leg})"""
IN_RANGE = """(p.day BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
  OR h.day BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date))"""
SAME_CURRENCY = "(p.currency IS NULL OR p.currency = h.currency)"
# A line is not rounded, a book is: to either of the two nearest minor units.
_AMOUNT = """(p.amount_minor IS NULL OR abs(p.amount_minor - h.exact)
  <= {tolerance} + CASE WHEN h.remainder = 0 THEN 0 ELSE 0.5 END)"""
SAME_AMOUNT = _AMOUNT.replace("{tolerance}", "0")
AMOUNT_WITHIN = _AMOUNT.replace("{tolerance}", "CAST(:amount_tolerance AS bigint)")
SAME_POINTS = "(p.points IS NULL OR p.points = h.points)"
POINTS_WITHIN = (
    "(p.points IS NULL OR abs(p.points - h.points) <= CAST(:points_tolerance AS bigint))"
)
DAYS_WITHIN = "abs(p.day - h.day) <= CAST(:window_days AS integer)"
# What a bank says in the place of a payment's name, and how much of a name says anything.
PLAIN = "upper(translate(p.receipt, ' ', ''))"
SHORTEST = 8
SAME = f"{SAME_PARTY} AND {SAME_CURRENCY} AND {SAME_POINTS} AND {SAME_AMOUNT} AND p.day = h.day"
WITHIN = (
    f"{SAME_PARTY} AND {SAME_CURRENCY} AND {POINTS_WITHIN} AND {AMOUNT_WITHIN} AND {DAYS_WITHIN}"
)
PAIRED = f"{IN_RANGE} AND {NOT_APART}"

# `chosen` (partners, hubs: arrays of rows) becomes matches, whose rows are consumed.
CONFIRM = """, numbered AS MATERIALIZED (
  SELECT nextval('reconciliation_match_id') AS match_id, c.* FROM chosen c
), headers AS (
  INSERT INTO reconciliation_match (match_id, run_id, leg, rule, state, made_at)
  SELECT match_id, CAST(:run_id AS integer), {leg}, {rule}, 'confirmed',
    CAST(:now AS timestamptz) FROM numbered
), members AS (
  INSERT INTO reconciliation_match_row (match_id, row_id, leg, live)
  SELECT match_id, row_id, {leg}, true FROM numbered, unnest(partners || hubs) AS row_id
)
SELECT count(*) FROM numbered"""
# Of pairs there may be a million: their arrays would cost more than the matching.
CONFIRM_PAIRS = CONFIRM.replace(
    "SELECT match_id, row_id, {leg}, true FROM numbered, unnest(partners || hubs) AS row_id",
    "SELECT match_id, partner, {leg}, true FROM numbered\n"
    "  UNION ALL SELECT match_id, hub, {leg}, true FROM numbered",
)
# `chosen` becomes suggestions, each made once: what a person rejected is not suggested again.
SUGGEST = """, numbered AS MATERIALIZED (
  SELECT nextval('reconciliation_match_id') AS match_id, c.*,
    md5((SELECT string_agg(row_id::text, ':' ORDER BY row_id)
      FROM unnest(partners || hubs) AS row_id))::uuid AS fingerprint
  FROM chosen c
), headers AS (
  INSERT INTO reconciliation_match (match_id, run_id, leg, rule, state, made_at, fingerprint,
    book_id)
  SELECT match_id, CAST(:run_id AS integer), {leg}, {rule}, 'suggested',
    CAST(:now AS timestamptz), fingerprint, CAST(:book_id AS smallint) FROM numbered
  ON CONFLICT (leg, fingerprint) WHERE fingerprint IS NOT NULL
    AND state IN ('suggested', 'rejected') DO NOTHING
  RETURNING match_id
), members AS (
  INSERT INTO reconciliation_match_row (match_id, row_id, leg, live)
  SELECT match_id, row_id, {leg}, false
  FROM headers JOIN numbered USING (match_id), unnest(partners || hubs) AS row_id
)
SELECT count(*) FROM headers"""

_CUT_SHORT = f"""EXISTS (SELECT FROM hu WHERE length({PLAIN}) >= {SHORTEST}
  AND starts_with(hu.names, {PLAIN}))"""


def filled(sql: str, leg: Leg, rule: Rule | None = None) -> str:
    """Fill in what depends on the leg and the rule."""
    own, other = ("creditor_id", "debtor_id")
    if leg in (Leg.DEBTOR, Leg.PAID):
        own, other = other, own
    by_bank = leg in (Leg.RECEIVED, Leg.PAID)
    words = {
        "{leg}": str(int(leg)),
        "{rule}": "NULL" if rule is None else str(int(rule)),
        "{own}": own,
        "{other}": other,
        "{correction}": str(int(Source.CORRECTION)),
        "{payments}": "h.source = 0" if by_bank else "h.source <> 0",
        "{cut_short}": _CUT_SHORT if by_bank else "false",
        # Lines are of their day; a bank books what was ordered together on a later one.
        "{parts_days}": "CAST(:window_days AS integer)" if by_bank else "0",
    }
    for word, stands_for in words.items():
        sql = sql.replace(word, stands_for)
    return sql


def facts_of(run: Run, now: datetime, *, suggests: bool = False) -> dict[str, Any]:
    """Return what the statements ask of a run.

    A payment that comes short by a bank's charges is a person's to accept: of a bank's statement
    amounts are exact unless something is only suggested.
    """
    exact = run.role is Role.BANK and not suggests
    return {
        "book_id": run.book_id,
        "business_id": run.business_id,
        "run_id": run.run_id,
        "now": now,
        "from_date": run.from_date,
        "to_date": run.to_date,
        "reach_from": run.from_date - REACH,
        "reach_to": run.to_date + REACH,
        "amount_tolerance": 0 if exact else run.amount_tolerance_minor,
        "points_tolerance": run.points_tolerance,
        "window_days": run.window_days,
        "day_totals": run.day_totals,
    }
