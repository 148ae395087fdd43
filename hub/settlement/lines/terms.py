"""What every kind of line asks: the agreement's terms, and what a close sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hub.settlement.queries import Period
from hub.units import exponent

VERSIONS = """
versions AS (
  SELECT g.*, lead(g.effective_from, 1, 'infinity') OVER (
    PARTITION BY g.issuer_id, g.acceptor_id ORDER BY g.effective_from) AS superseded_on
  FROM agreement g
)"""
TERMS = """
terms AS (
  SELECT g.agreement_id, g.issuer_id, g.acceptor_id, g.rate_per_point, g.currency,
    g.occupancy_required,
    g.effective_from, lead(g.effective_from, 1, 'infinity') OVER (
      PARTITION BY g.issuer_id, g.acceptor_id ORDER BY g.effective_from) AS superseded_on,
    x.tax_code, x.tax_rate, x.tax_included
  FROM agreement g
  LEFT JOIN agreement_tax x ON x.agreement_id = g.agreement_id AND x.kind = :kind
)"""
# What this transaction wrote itself is seen by it, though no snapshot says so; and what is read
# here with a number that this cluster has not given out yet came from another one, before any.
SEEN = """(
  pg_visible_in_snapshot(e.xact::text::xid8, CAST(CAST(:snapshot AS text) AS pg_snapshot))
  OR e.xact = txid_current()
  OR e.xact >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)"""

# On which day the lot of an entry was issued, if its issuer buys its points. Most lots are with the
# entry's member: those are met all at once, and only the others one by one; each is asked once
# (OFFSET 0).
ISSUED_ON = """
  LEFT JOIN business buyer ON buyer.business_id = e.issuer_id AND e.issuer_id = ANY (:buyers)
  LEFT JOIN lot issued ON issued.member_id = e.member_id AND issued.lot_id = e.lot_id
    AND buyer.business_id IS NOT NULL
  CROSS JOIN LATERAL (SELECT CASE WHEN buyer.business_id IS NULL THEN NULL
    WHEN issued.lot_id IS NULL THEN ledger_issued_elsewhere(e.member_id, e.lot_id)
    ELSE issue_day(issued.earned_at, buyer.time_zone, buyer.day_starts_at_hour)
    END AS issued_on OFFSET 0) sold"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What lines are asked for: those of some days, in a period, as a close sees them.

    `days` is a condition on the business date of `e`, `seen` one that also asks whether the close
    sees that entry; `facts` are what the conditions and the period's lines ask for. `buyers` are
    the issuers whose points were ever sold at issue; `ruled` says whether anybody has rates by
    award, category or occupancy.
    """

    period: Period
    days: str
    seen: str
    facts: dict[str, Any]
    buyers: list[int]
    ruled: bool


def minor_units(currencies: Sequence[str]) -> dict[str, Any]:
    """Return the facts that tell lines minor units: currencies, and how many digits each has."""
    return {
        "currencies": currencies,
        "exponents": [exponent(currency) for currency in currencies],
    }
