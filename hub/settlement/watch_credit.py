"""Watch credit: how much of each credit limit is used, and what follows from that."""

from datetime import date, datetime

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.credit import Standing, standings
from hub.settlement.lines.terms import VERSIONS

# What is owed: the totals of periods that stand, less what was due of those that are paid, so that
# what a dispute holds back is owed until it is carried and paid; what redemptions after them come
# to by the rate per point, as the daily sums know them. An estimate, and an early one: awards,
# occupancy, caps and funds are priced by the close.
_LOOK = text(f"""
WITH {VERSIONS}, limits AS (
  SELECT * FROM versions
  WHERE credit_limit IS NOT NULL AND effective_from <= :today AND superseded_on > :today
), stated AS (
  SELECT max(ends_on) AS until FROM settlement_period WHERE state NOT IN ('open', 'closing')
), exposed AS (
  SELECT l.issuer_id, l.acceptor_id, l.currency, l.credit_limit, l.alert_percent, l.on_limit,
    coalesce((SELECT sum(minor) / power(10::numeric, currency_exponent(l.currency)) FROM (
      SELECT g.gross_minor AS minor
      FROM settlement_gross g JOIN settlement_period p USING (period_id)
      WHERE g.debtor_id = l.issuer_id AND g.creditor_id = l.acceptor_id AND g.currency = l.currency
        AND g.kind <> 10 AND p.state IN ('draft', 'approved', 'issued', 'paid')
      UNION ALL
      SELECT -d.due_minor FROM settlement_due d JOIN settlement_period p USING (period_id)
      WHERE d.debtor_id = l.issuer_id AND d.creditor_id = l.acceptor_id AND d.currency = l.currency
        AND p.state = 'paid') AS unpaid), 0)
    + coalesce((SELECT sum((CASE WHEN d.credit = 20 THEN d.points ELSE -d.points END)
        * coalesce(v.rate_per_point, d.cost_rate))
      FROM entry_daily d CROSS JOIN stated
      JOIN versions v ON v.issuer_id = d.issuer_id AND v.acceptor_id = d.business_id
        AND d.business_date >= v.effective_from AND d.business_date < v.superseded_on
        AND v.currency = l.currency
      WHERE d.issuer_id = l.issuer_id AND d.business_id = l.acceptor_id AND d.unit <> 2
        AND 20 IN (d.debit, d.credit) AND d.business_date > coalesce(until, '-infinity')), 0)
      AS exposure
  FROM limits l
), looked AS (
  SELECT *, CASE WHEN exposure >= credit_limit AND on_limit = 'stop' THEN 'stopped'
    WHEN exposure >= credit_limit THEN 'over'
    WHEN exposure >= credit_limit * alert_percent / 100 THEN 'alert' ELSE 'fine' END AS state
  FROM exposed
), gone AS (
  DELETE FROM credit_standing s WHERE NOT EXISTS (SELECT 1 FROM limits l
    WHERE l.issuer_id = s.issuer_id AND l.acceptor_id = s.acceptor_id)
)
INSERT INTO credit_standing AS s (issuer_id, acceptor_id, looked_at, since, exposure, credit_limit,
  currency, state)
SELECT issuer_id, acceptor_id, :now, :now, exposure, credit_limit, currency, state FROM looked
ON CONFLICT (issuer_id, acceptor_id) DO UPDATE SET looked_at = excluded.looked_at,
  exposure = excluded.exposure, credit_limit = excluded.credit_limit,
  currency = excluded.currency, state = excluded.state,
  since = CASE WHEN s.state = excluded.state THEN s.since ELSE excluded.since END
""")  # noqa: S608 - a constant of ours

log = structlog.get_logger(__name__)


async def watch_credit(db: AsyncConnection, *, today: date, now: datetime) -> list[Standing]:
    """Look at every credit limit that is in force; return those whose state is another now.

    From `stopped` on, the acceptor takes no more of the issuer's points until some are paid for.
    """
    await db.execute(_LOOK, {"today": today, "now": now})
    changed = [one for one in await standings(db) if one.since == now and one.state != "fine"]
    for one in changed:
        log.warning(
            "credit_limit",
            state=one.state,
            issuer_id=one.issuer_id,
            acceptor_id=one.acceptor_id,
            exposure=str(one.exposure),
            credit_limit=str(one.credit_limit),
            currency=one.currency,
        )
    return changed
