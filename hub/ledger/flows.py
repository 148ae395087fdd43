"""How many points went from where to where, in days: from the daily sums, and always exact."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What moved from one side to another (hub.ledger.codes.Side): points of one issuer, at one
    business, at one cost. `cost_rate` is in major units of the issuer's currency.
    """

    issuer_id: int
    business_id: int
    debit: int
    credit: int
    cost_rate: Decimal
    points: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What an acceptor took of an issuer's points, less what it gave back; `cost` is exact, in
    major units of the issuer's currency.
    """

    issuer_id: int
    acceptor_id: int
    points: int
    cost: Decimal


# One statement, so that the sums, what they have seen and the entries are of one moment. What they
# have not seen is told as ledger_roll_up tells it. Where the database came from a cluster that
# counted higher, a snapshot of that cluster tells nothing: until the next roll-up everything is
# summed from entries.
_FLOWS = """
WITH seen AS MATERIALIZED (
  SELECT pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmin(snapshot) AS foreign_born
  FROM entry_daily_seen
), parts AS (
  SELECT issuer_id, business_id, debit, credit, cost_rate, points, entries
  FROM entry_daily
  WHERE business_date BETWEEN :from_date AND :to_date AND unit = CAST(:unit AS smallint)
    AND NOT (SELECT foreign_born FROM seen)
  UNION ALL
  SELECT issuer_id, business_id, debit, credit, cost_rate, points, 1
  FROM ledger_unseen(:from_date, :to_date, CAST(:unit AS smallint))
  WHERE NOT (SELECT foreign_born FROM seen)
  UNION ALL
  SELECT issuer_id, business_id, debit, credit, cost_rate, points, 1
  FROM entry
  WHERE (SELECT foreign_born FROM seen)
    AND business_date BETWEEN :from_date AND :to_date AND unit = CAST(:unit AS smallint)
)
"""
_BY_SIDES = text(f"""{_FLOWS}
SELECT issuer_id, business_id, debit, credit, cost_rate, sum(points)::bigint AS points,
  sum(entries)::bigint AS entries
FROM parts GROUP BY issuer_id, business_id, debit, credit, cost_rate
ORDER BY issuer_id, business_id, debit, credit, cost_rate
""")  # noqa: S608 - a constant of ours
_ACCEPTED = text(f"""{_FLOWS}
SELECT issuer_id, business_id AS acceptor_id,
  sum(CASE WHEN credit = 20 THEN points ELSE -points END)::bigint AS points,
  sum(CASE WHEN credit = 20 THEN points ELSE -points END * cost_rate) AS cost
FROM parts WHERE 20 IN (debit, credit) AND issuer_id <> business_id
GROUP BY issuer_id, business_id ORDER BY issuer_id, business_id
""")  # noqa: S608 - a constant of ours


async def flows(
    db: AsyncConnection, *, from_date: date, to_date: date, unit: int = Unit.SPENDABLE
) -> list[Flow]:
    """Return what moved on these business dates, both inclusive: all that is committed."""
    facts = {"from_date": from_date, "to_date": to_date, "unit": unit}
    return [Flow(**row._asdict()) for row in await db.execute(_BY_SIDES, facts)]


async def accepted_totals(
    db: AsyncConnection, *, from_date: date, to_date: date, unit: int = Unit.SPENDABLE
) -> list[Accepted]:
    """Return what each business took of each other's points on these business dates, inclusive."""
    facts = {"from_date": from_date, "to_date": to_date, "unit": unit}
    return [Accepted(**row._asdict()) for row in await db.execute(_ACCEPTED, facts)]
