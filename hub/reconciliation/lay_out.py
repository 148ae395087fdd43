"""Lay out: the hub's side of a run, and what the business's rows say they are about.

The one place that knows how obligations and payments are kept.
"""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.reconciliation.codes import Leg, Role
from hub.reconciliation.runs import REACH, Run
from hub.reconciliation.sides import filled
from hub.settlement.codes import LineKind
from hub.units import exponent

# What is carried from an earlier period was laid out there.
# What was consumed of several lots, and given back in several parts, is one receipt at the till.
_LINES = """
INSERT INTO reconciliation_hub_row (points, amount_minor, remainder, tx_id, period_id, day,
  debtor_id, creditor_id, source, kind, currency, names)
SELECT points, round(exact), exact - round(exact), tx_id, period_id, day, debtor_id, creditor_id,
  source, kind, currency, CASE WHEN source = 1 THEN tx_id::text ELSE kind || '/' || tx_id END
FROM (
  SELECT tx_id, period_id, min(business_date) AS day, debtor_id, creditor_id, source, kind,
    currency, sum(points)::bigint AS points, sum(amount) * power(10::numeric, x.exponent) AS exact
  FROM obligation
  JOIN unnest(CAST(:currencies AS text[]), CAST(:exponents AS integer[]))
    AS x (code, exponent) ON x.code = currency
  WHERE {own} = CAST(:business_id AS smallint)
    AND business_date BETWEEN CAST(:reach_from AS date) AND CAST(:reach_to AS date)
    AND period_id IN (SELECT period_id FROM settlement_period
      WHERE state NOT IN ('open', 'closing'))
    AND kind <> :carried
  GROUP BY tx_id, period_id, debtor_id, creditor_id, source, kind, currency, x.exponent
) lines
ON CONFLICT (tx_id, period_id, source, kind, debtor_id, creditor_id, currency) DO NOTHING"""
_PAYMENTS = """
INSERT INTO reconciliation_hub_row (points, amount_minor, tx_id, period_id, day, debtor_id,
  creditor_id, source, kind, currency, names)
SELECT NULL, amount_minor, payment_id, period_id, (released_at AT TIME ZONE time_zone)::date,
  debtor_id, creditor_id, 0, 0, payment.currency, end_to_end_id
FROM payment, programme
WHERE released_at IS NOT NULL AND {own} = CAST(:business_id AS smallint)
  AND (released_at AT TIME ZONE time_zone)::date
    BETWEEN CAST(:reach_from AS date) AND CAST(:reach_to AS date)
ON CONFLICT (tx_id, period_id, source, kind, debtor_id, creditor_id, currency) DO NOTHING"""
# A receipt's key is the acceptor's own: the ledger knows it as it is, or by the way that it came
# (hub.points.lock_payers, hub.intake.serve). Whoever does not say who the acceptor was, and what
# may be either of two, names nothing.
_RECEIPTS = """
WITH asked AS (
  SELECT row_id, receipt, {acceptor} AS acceptor_id FROM reconciliation_partner_row p
  WHERE book_id = CAST(:book_id AS smallint) AND leg = {leg} AND names IS NULL
    AND receipt IS NOT NULL AND superseded_by IS NULL
    AND day BETWEEN CAST(:reach_from AS date) AND CAST(:reach_to AS date)
), ways AS (
  SELECT business_id, way FROM business, (VALUES (''), ('api:')) AS w (way)
  UNION ALL SELECT business_id, 'serve:' || code || ':' FROM connection
), found AS (
  SELECT a.row_id, min(t.tx_id) AS tx_id FROM asked a
  JOIN ways w ON a.acceptor_id IS NULL OR w.business_id = a.acceptor_id
  JOIN ledger_transaction t
    ON t.business_id = w.business_id AND t.idempotency_key = w.way || a.receipt
  GROUP BY a.row_id HAVING count(*) = 1
)
UPDATE reconciliation_partner_row r SET names = found.tx_id::text
FROM found WHERE r.row_id = found.row_id"""


async def lay_out(db: AsyncConnection, *, run: Run) -> int:
    """Add the rows of the hub that are within reach of a run; returns how many were new.

    Only closed periods have lines. The receipts that the book names become numbers of
    transactions, as far as the ledger knows them.
    """
    facts: dict[str, Any] = {
        "business_id": run.business_id,
        "reach_from": run.from_date - REACH,
        "reach_to": run.to_date + REACH,
    }
    if run.role is Role.BANK:
        return sum(
            [(await db.execute(text(filled(_PAYMENTS, leg)), facts)).rowcount for leg in run.legs]
        )
    (leg,) = run.legs
    used = await db.scalars(text("SELECT DISTINCT currency FROM settlement_gross"))
    currencies = list(used)
    exponents = {"currencies": currencies, "exponents": [exponent(code) for code in currencies]}
    laid = (
        await db.execute(
            text(filled(_LINES, leg)), {**facts, **exponents, "carried": LineKind.CARRIED}
        )
    ).rowcount
    acceptor = "CAST(:business_id AS smallint)" if leg is Leg.CREDITOR else "counterparty_id"
    await db.execute(
        text(filled(_RECEIPTS, leg).replace("{acceptor}", acceptor)),
        {**facts, "book_id": run.book_id},
    )
    await db.execute(text("ANALYZE reconciliation_hub_row, reconciliation_partner_row"))
    return laid
