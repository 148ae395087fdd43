"""Lines of what an agreement says of a whole period: prefunds, caps, and draws on the fund."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind, Source
from hub.settlement.lines.terms import VERSIONS
from hub.settlement.queries import Period

# The version in force on the period's last day; of prefunds, that of the month of issue.
_VERSIONS = f"""{VERSIONS}, terms AS (
  SELECT v.*, x.tax_code, x.tax_rate, x.tax_included FROM versions v
  LEFT JOIN agreement_tax x ON x.agreement_id = v.agreement_id AND x.kind = 1
  WHERE v.effective_from <= :ends_on AND v.superseded_on > :ends_on
)"""  # noqa: S608 - a constant of ours
_LINE = """
INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
  issuer_id, acceptor_id, points, rate, amount, currency, tax_code, tax_rate, tax_included,
  agreement_id, business_date, occurred_at, posted_at, late)
SELECT 0, :source, (CAST(:period_id AS bigint) << 32) + agreement_id, seq, :kind, :period_id,
  issuer_id, acceptor_id, issuer_id, acceptor_id, points, rate, amount, currency, tax_code,
  tax_rate, tax_included, agreement_id, :ends_on, :now, :now, false
FROM found WHERE points <> 0 OR amount <> 0"""
# Issued net of what is taken back, by the month in which it was issued: the flows that the close
# has frozen, so that a prefund is for the same points as what is accounted for.
_PREFUNDS = f"""
WITH {_VERSIONS}, found AS (
  SELECT v.agreement_id, v.issuer_id, v.acceptor_id, v.currency,
    row_number() OVER (PARTITION BY v.agreement_id ORDER BY f.cohort) AS seq,
    sum(CASE WHEN f.credit = 1 THEN f.points ELSE -f.points END)::bigint AS points,
    v.prefund_per_point AS rate,
    sum(CASE WHEN f.credit = 1 THEN f.points ELSE -f.points END) * v.prefund_per_point AS amount,
    CAST(NULL AS text) AS tax_code, CAST(NULL AS numeric) AS tax_rate,
    CAST(NULL AS boolean) AS tax_included
  FROM period_flow f
  JOIN versions v ON v.issuer_id = f.issuer_id AND v.basis = 'hybrid'
    AND f.cohort >= v.effective_from AND f.cohort < v.superseded_on
  WHERE f.period_id = :period_id AND f.unit <> 2
    AND (f.debit IN (10, 60, 70) AND f.credit = 1 OR f.debit = 1 AND f.credit IN (40, 60, 80))
  GROUP BY v.agreement_id, v.issuer_id, v.acceptor_id, v.currency, v.prefund_per_point, f.cohort
) {_LINE}"""  # noqa: S608 - constants of ours
# What is above the cap comes off again: of points, at what the period's points cost on average.
_CAPS = f"""
WITH {_VERSIONS}, sums AS (
  SELECT t.agreement_id, t.issuer_id, t.acceptor_id, t.currency, t.tax_code, t.tax_rate,
    t.tax_included, t.cap_amount, t.cap_points, sum(o.points) AS points, sum(o.amount) AS amount
  FROM obligation o JOIN terms t ON t.issuer_id = o.debtor_id AND t.acceptor_id = o.creditor_id
    AND t.currency = o.currency
  WHERE o.period_id = :period_id AND o.kind = 1
    AND num_nonnulls(t.cap_amount, t.cap_points) > 0
  GROUP BY t.agreement_id, t.issuer_id, t.acceptor_id, t.currency, t.tax_code, t.tax_rate,
    t.tax_included, t.cap_amount, t.cap_points
), bounded AS (
  SELECT *, least(amount, cap_amount, CASE WHEN points > cap_points
    THEN round(amount * cap_points / points, 8) END) AS most
  FROM sums WHERE amount > 0 AND points > 0
), found AS (
  SELECT agreement_id, issuer_id, acceptor_id, currency, 1 AS seq,
    -greatest(points - cap_points, 0)::bigint AS points, CAST(NULL AS numeric) AS rate,
    most - amount AS amount, tax_code, tax_rate, tax_included
  FROM bounded WHERE most < amount
) {_LINE}"""  # noqa: S608 - constants of ours
# What redemptions come to is drawn from the fund as far as it goes; what they give back fills it up
# to what was ever drawn. Where more is taken back of what was paid ahead than is left, what was
# drawn is owed after all. No tax is on either: it is on what was redeemed.
_FUNDS = f"""
WITH {_VERSIONS}, pairs AS (
  SELECT DISTINCT issuer_id, acceptor_id, currency FROM agreement WHERE basis = 'hybrid'
), before AS (
  SELECT debtor_id, creditor_id, currency, sum(paid) - sum(drawn) AS left, sum(drawn) AS drawn
  FROM settlement_fund GROUP BY debtor_id, creditor_id, currency
), sums AS (
  SELECT p.issuer_id, p.acceptor_id, p.currency, coalesce(b.left, 0) AS opening,
    coalesce(b.drawn, 0) AS drawn_before,
    coalesce(sum(o.amount) FILTER (WHERE o.kind = :prefund), 0) AS paid,
    coalesce(sum(o.amount) FILTER (WHERE o.kind IN (1, :cap)), 0) AS due
  FROM pairs p
  LEFT JOIN before b ON b.debtor_id = p.issuer_id AND b.creditor_id = p.acceptor_id
    AND b.currency = p.currency
  LEFT JOIN obligation o ON o.period_id = :period_id AND o.debtor_id = p.issuer_id
    AND o.creditor_id = p.acceptor_id AND o.currency = p.currency
  GROUP BY p.issuer_id, p.acceptor_id, p.currency, b.left, b.drawn
), drawn AS (
  SELECT *, CASE WHEN due >= 0 THEN least(due, greatest(opening + paid, 0))
    ELSE greatest(due, -drawn_before) END AS drawn,
    least(opening + paid, 0) AS short
  FROM sums
), kept AS (
  INSERT INTO settlement_fund (period_id, debtor_id, creditor_id, currency, opening, paid, drawn,
    closing)
  SELECT :period_id, issuer_id, acceptor_id, currency, opening, paid, drawn + short,
    opening + paid - drawn - short
  FROM drawn WHERE opening <> 0 OR paid <> 0 OR drawn + short <> 0
), found AS (
  SELECT t.agreement_id, d.issuer_id, d.acceptor_id, d.currency, 1 AS seq, 0::bigint AS points,
    CAST(NULL AS numeric) AS rate, -(d.drawn + d.short) AS amount, CAST(NULL AS text) AS tax_code,
    CAST(NULL AS numeric) AS tax_rate, CAST(NULL AS boolean) AS tax_included
  FROM drawn d JOIN LATERAL (
    SELECT v.agreement_id FROM versions v
    WHERE v.issuer_id = d.issuer_id AND v.acceptor_id = d.acceptor_id
      AND v.effective_from <= :ends_on ORDER BY v.effective_from DESC LIMIT 1) t ON true
) {_LINE}"""  # noqa: S608 - constants of ours


async def place_agreed(db: AsyncConnection, *, period: Period, now: datetime) -> int:
    """Write what agreements say of the period whose other lines stand; return how many lines.

    First what is paid ahead, then what is above a cap, then what both leave to the fund.
    """
    facts = {
        "period_id": period.period_id,
        "ends_on": period.ends_on,
        "now": now,
        "source": Source.TERMS,
    }
    placed = 0
    for query, kind in ((_PREFUNDS, LineKind.PREFUND), (_CAPS, LineKind.CAP)):
        placed += (await db.execute(text(query), {**facts, "kind": kind})).rowcount
    drawn = {"kind": LineKind.PREFUND_DRAW, "prefund": LineKind.PREFUND, "cap": LineKind.CAP}
    placed += (await db.execute(text(_FUNDS), {**facts, **drawn})).rowcount
    return placed
