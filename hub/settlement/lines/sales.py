"""Lines of points sold at issue: what an issuer pays the company, and what it gets back."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind, Source
from hub.settlement.lines.terms import ISSUED_ON, Slice

# What an entry does to how many points of a lot there are: those that come from a side that is
# neither a member nor a redemption (20) nor expiry (30), less those that go to one. So what was
# paid for, less redeemed and expired, is what the company owes. What only moves on is left out: a
# lot is the same lot wherever it is (50, 100). But where points repay what a member owes for a
# clawback, they are taken from one lot for another: those two moves are of one member. What had
# expired and is given for what was spent of another's by mistake (30, 110) is two things: no longer
# broken, and gone. Each entry is asked once (OFFSET 0).
_SALES = f"""
WITH due AS (
  SELECT e.*, sold.issued_on, counted.kind, counted.signed
  FROM entry e
  CROSS JOIN LATERAL (
    SELECT CAST(:breakage AS smallint) AS kind,
      CASE WHEN e.credit = 30 THEN e.points ELSE -e.points END AS signed
    WHERE 30 IN (e.debit, e.credit)
    UNION ALL
    SELECT CAST(:issue AS smallint),
      CASE WHEN e.debit IN (1, 20, 30) THEN -e.points ELSE e.points END
    WHERE CASE
      WHEN (e.debit, e.credit) IN ((1, 50), (50, 1)) THEN EXISTS (SELECT 1 FROM entry o
        WHERE o.member_id = e.member_id AND o.tx_id = e.tx_id
          AND (o.debit, o.credit) = (e.credit, e.debit))
      WHEN e.debit = 110 THEN e.credit IN (1, 30)
      WHEN e.credit = 110 THEN e.debit IN (1, 20, 30)
      WHEN e.credit = 1 THEN e.debit IN (10, 60, 70)
      ELSE e.debit = 1 AND e.credit IN (40, 60, 80) END
    OFFSET 0) counted
  {ISSUED_ON}
  WHERE e.issuer_id = ANY (:buyers) AND e.unit <> 2 AND {{visible}}
    AND NOT EXISTS (SELECT 1 FROM obligation o
      WHERE o.member_id = e.member_id AND o.tx_id = e.tx_id AND o.seq = e.seq
        AND o.kind = counted.kind AND o.source = :source OFFSET 0)
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      issuer_id, account_id, points, rate, amount, currency, tax_code, tax_rate, tax_included,
      agreement_id, business_date, occurred_at, posted_at, late, issued_on)
  SELECT e.member_id, :source, e.tx_id, e.seq, e.kind, :period_id,
    CASE e.kind WHEN :issue THEN s.issuer_id ELSE s.company_id END,
    CASE e.kind WHEN :issue THEN s.company_id ELSE s.issuer_id END,
    s.issuer_id, e.account_id, e.signed, s.rate_per_point, e.signed * s.rate_per_point, s.currency,
    x.tax_code, x.tax_rate, x.tax_included, s.agreement_id, e.business_date, e.occurred_at,
    e.posted_at, e.business_date < :starts_on, e.issued_on
  FROM due e
  JOIN point_sale s ON s.issuer_id = e.issuer_id
    AND e.issued_on >= s.effective_from AND e.issued_on < s.superseded_on
  LEFT JOIN agreement_tax x ON x.agreement_id = s.agreement_id AND x.kind = e.kind
  WHERE e.kind = :issue OR s.breakage_owner = 'issuer'
  RETURNING 1
)
SELECT count(*) FROM placed
"""  # noqa: S608 - constants of ours


async def place_sales(db: AsyncConnection, asked: Slice) -> int:
    """Write the missing lines of points that were sold at issue; return how many.

    Each is priced by the version that was in force on the day its lot was issued, what is taken
    back as well as what is issued.
    """
    if not asked.buyers:
        return 0
    facts = {
        **asked.facts,
        "issue": LineKind.ISSUE,
        "breakage": LineKind.BREAKAGE,
        "source": Source.ENTRY,
        "buyers": asked.buyers,
    }
    placed: int = await db.scalar(text(_SALES.format(visible=asked.seen)), facts) or 0
    return placed
