"""Prove I6 anew: nets and dues of periods follow from their totals, and these from their lines."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.verify import Broken, prove

PERIODS = "I6 the net positions of a closed period sum to zero and follow from its lines"
DUES = "I6 what is due of an approved period is its totals less what is disputed"

CHECKS = {
    "I6 a total counts its lines": """
        SELECT 0, format('period %s, %s>%s: the total says %s lines and %s points, there are %s '
          'and %s', p.code, debtor_id, creditor_id, g.lines, g.points, o.lines, o.points)
        FROM (SELECT period_id, debtor_id, creditor_id, currency, kind, sum(lines) AS lines,
            sum(points) AS points
          FROM settlement_gross GROUP BY 1, 2, 3, 4, 5) g FULL JOIN (
          SELECT period_id, debtor_id, creditor_id, currency, kind, count(*) AS lines,
            sum(points) AS points
          FROM obligation GROUP BY 1, 2, 3, 4, 5) o
          USING (period_id, debtor_id, creditor_id, currency, kind)
        JOIN settlement_period p USING (period_id)
        WHERE p.state <> 'closing'
          AND (g.lines, g.points) IS DISTINCT FROM (o.lines, o.points)
        ORDER BY period_id, debtor_id, creditor_id LIMIT 1""",
    "I6 a line says what its entry says": """
        SELECT o.member_id, format('transaction %s, line %s: %s points of %s at %s, the entry says '
          '%s of %s at %s', o.tx_id, o.seq, o.points, o.issuer_id, o.acceptor_id,
          CASE WHEN e.credit = 20 THEN e.points ELSE -e.points END, e.issuer_id, e.business_id)
        FROM obligation o LEFT JOIN entry e USING (member_id, tx_id, seq)
        WHERE o.source = 1 AND o.kind = 1 AND (
          e.member_id IS NULL OR 20 NOT IN (e.debit, e.credit)
          OR (o.points, o.issuer_id, o.acceptor_id, o.creditor_id)
            <> (CASE WHEN e.credit = 20 THEN e.points ELSE -e.points END, e.issuer_id,
              e.business_id, e.business_id)
          OR (o.issued_on IS NULL AND o.debtor_id <> o.issuer_id))
        ORDER BY o.member_id, o.tx_id, o.seq LIMIT 1""",
    "I6 a lot is settled as it was sold": """
        SELECT o.member_id, format('transaction %s, line %s: %s owes %s for points issued on %s, '
          'sold by %s', o.tx_id, o.seq, o.debtor_id, o.creditor_id, d.issued_on, s.company_id)
        FROM obligation o
        JOIN business b ON b.business_id = o.issuer_id
        LEFT JOIN entry e USING (member_id, tx_id, seq)
        LEFT JOIN lot l ON l.member_id = e.member_id AND l.lot_id = e.lot_id
        CROSS JOIN LATERAL (SELECT CASE
          WHEN l.lot_id IS NULL THEN ledger_issued_elsewhere(e.member_id, e.lot_id)
          ELSE issue_day(l.earned_at, b.time_zone, b.day_starts_at_hour) END AS issued_on) d
        LEFT JOIN point_sale s ON s.issuer_id = o.issuer_id
          AND d.issued_on >= s.effective_from AND d.issued_on < s.superseded_on
        WHERE o.source = 1 AND o.kind IN (1, 2, 5)
          AND o.issuer_id IN (SELECT issuer_id FROM point_sale)
          AND (e.member_id IS NULL OR abs(o.points) <> e.points OR CASE o.kind
            WHEN 1 THEN (o.debtor_id, o.issued_on) IS DISTINCT FROM (coalesce(s.company_id,
              o.issuer_id), CASE WHEN s.company_id IS NOT NULL THEN d.issued_on END)
            ELSE (o.issuer_id, s.company_id) IS DISTINCT FROM CASE o.kind
                WHEN 2 THEN (o.debtor_id, o.creditor_id) ELSE (o.creditor_id, o.debtor_id) END
              OR (o.agreement_id, o.rate, o.issued_on)
                IS DISTINCT FROM (s.agreement_id, s.rate_per_point, d.issued_on) END)
        ORDER BY o.member_id, o.tx_id, o.seq LIMIT 1""",
    "I6 points sold at issue are paid for as they come and go": """
        SELECT 0, format('period %s, points of business %s of %s: %s were paid for, %s came',
          p.code, issuer_id, to_char(cohort, 'YYYY-MM'), coalesce(paid.n, 0), coalesce(came.n, 0))
        FROM (SELECT period_id, issuer_id, unit, cohort, sum(points) AS n FROM period_sale
          WHERE kind <> 'expired' GROUP BY 1, 2, 3, 4) paid
        FULL JOIN (SELECT f.period_id, f.issuer_id, f.unit, f.cohort,
            sum(CASE WHEN f.debit IN (1, 20, 30) THEN 0 ELSE f.points END
              - CASE WHEN f.credit IN (1, 20, 30) THEN 0 ELSE f.points END) AS n
          FROM period_flow f JOIN point_sale s ON s.issuer_id = f.issuer_id
            AND f.cohort >= s.effective_from AND f.cohort < s.superseded_on
          GROUP BY 1, 2, 3, 4) came USING (period_id, issuer_id, unit, cohort)
        JOIN settlement_period p USING (period_id)
        WHERE p.state NOT IN ('open', 'closing') AND coalesce(paid.n, 0) <> coalesce(came.n, 0)
        ORDER BY p.starts_on, issuer_id, cohort LIMIT 1""",
    "I6 a line says what its use says": """
        SELECT o.member_id, format('use %s: %s owes %s, the use says %s owes %s', o.tx_id,
          o.debtor_id, o.creditor_id, u.funder_id, u.business_id)
        FROM obligation o LEFT JOIN entitlement_use u
          ON u.use_id = o.tx_id AND u.member_id = o.member_id
        WHERE o.source = 2 AND (u.use_id IS NULL
          OR u.outcome NOT IN ('used', 'cancelled') OR (u.outcome = 'used') <> (o.amount > 0)
          OR (o.debtor_id, o.creditor_id, o.currency)
            <> (u.funder_id, u.business_id, u.currency))
        ORDER BY o.member_id, o.tx_id LIMIT 1""",
    "I6 a line says what its voucher says": """
        SELECT o.member_id, format('entry %s of a voucher: %s owes %s, it says %s owes %s', o.tx_id,
          o.debtor_id, o.creditor_id, e.funder_id, e.business_id)
        FROM obligation o LEFT JOIN voucher_entry e ON e.entry_id = o.tx_id
        WHERE o.source = 8 AND (e.entry_id IS NULL OR sign(o.amount) <> sign(e.price_minor)
          OR (o.debtor_id, o.creditor_id, o.currency) <> (e.funder_id, e.business_id, e.currency))
        ORDER BY o.tx_id LIMIT 1""",
    "I6 a line says what its payment for a plan says": """
        SELECT o.member_id, format('payment or refund %s of a plan: %s owes %s, it was %s for %s',
          o.tx_id, o.debtor_id, o.creditor_id, f.taken_by, p.seller_id)
        FROM obligation o LEFT JOIN membership_fact f ON f.fact_id = o.tx_id
        LEFT JOIN membership_fact paid ON paid.kind = 'paid' AND paid.source = f.source
          AND paid.source_id = coalesce(f.reference, f.source_id)
        LEFT JOIN membership_plan p ON p.plan_id = paid.plan_id
        WHERE o.source = 9 AND (p.plan_id IS NULL OR (f.kind = 'paid') <> (o.amount > 0)
          OR o.currency <> f.currency OR abs(o.amount) > f.amount_minor
          OR CASE o.kind WHEN 11 THEN (o.debtor_id, o.creditor_id)
            ELSE (o.creditor_id, o.debtor_id) END <> (f.taken_by, p.seller_id))
        ORDER BY o.tx_id LIMIT 1""",
    "I6 a fund is what was paid ahead less what was drawn": """
        SELECT 0, format('period %s, %s>%s: the lines paid %s ahead and drew %s, the fund says %s '
          'and %s', p.code, f.debtor_id, f.creditor_id, o.paid, o.drawn, f.paid, f.drawn)
        FROM settlement_fund f JOIN settlement_period p USING (period_id)
        CROSS JOIN LATERAL (SELECT coalesce(sum(amount) FILTER (WHERE kind = 6), 0) AS paid,
            coalesce(-sum(amount) FILTER (WHERE kind = 7), 0) AS drawn
          FROM obligation o WHERE o.period_id = f.period_id AND o.debtor_id = f.debtor_id
            AND o.creditor_id = f.creditor_id AND o.currency = f.currency) o
        WHERE (o.paid, o.drawn) IS DISTINCT FROM (f.paid, f.drawn)
        ORDER BY f.period_id, f.debtor_id, f.creditor_id LIMIT 1""",
    "I6 a line says what its correction says": """
        SELECT 0, format('correction %s: the line says %s owes %s %s, it says %s owes %s %s',
          o.tx_id, o.debtor_id, o.creditor_id, o.amount, c.debtor_id, c.creditor_id, c.amount)
        FROM obligation o LEFT JOIN correction c ON c.correction_id = o.tx_id
        WHERE o.source = 3 AND (c.correction_id IS NULL OR c.state <> 'approved'
          OR (o.debtor_id, o.creditor_id, o.currency, o.amount)
            <> (c.debtor_id, c.creditor_id, c.currency, c.amount))
        ORDER BY o.tx_id LIMIT 1""",
    "I6 a line says what its dispute says": """
        SELECT 0, format('dispute %s: a line %s of %s owes %s %s, it is %s, of %s and %s', o.tx_id,
          o.kind, o.debtor_id, o.creditor_id, o.currency, d.state, d.debtor_id, d.creditor_id)
        FROM obligation o LEFT JOIN dispute d ON d.dispute_id = o.tx_id
        WHERE (o.source = 4 OR o.kind = 10) AND (o.source <> 4 OR o.kind NOT IN (9, 10)
            OR d.dispute_id IS NULL OR d.state = 'open'
            OR (o.kind = 9 AND d.state <> 'upheld')
            OR (o.debtor_id, o.creditor_id, o.currency)
              <> (d.debtor_id, d.creditor_id, d.currency))
        ORDER BY o.tx_id LIMIT 1""",
    # Over all approved periods: what was ever owed, with nothing counted again as it is carried.
    "I6 what was ever owed is due or is held back": """
        SELECT 0, format('%s>%s %s: owed %s, still held back %s, due %s', debtor_id, creditor_id,
          currency, sum(owed), sum(held), sum(due))
        FROM (
          SELECT debtor_id, creditor_id, currency, gross_minor AS owed, 0 AS held, 0 AS due
          FROM settlement_gross JOIN settlement_period USING (period_id)
          WHERE kind <> 10 AND state IN ('approved', 'issued', 'paid')
          UNION ALL
          SELECT d.debtor_id, d.creditor_id, d.currency, 0, h.gross_minor, 0
          FROM dispute d JOIN dispute_held h USING (dispute_id)
          WHERE NOT EXISTS (SELECT 1 FROM obligation o JOIN settlement_period p USING (period_id)
            WHERE o.member_id = 0 AND o.tx_id = d.dispute_id AND o.seq = 0 AND o.kind = 10
              AND o.source = 4 AND p.state IN ('approved', 'issued', 'paid'))
          UNION ALL
          SELECT debtor_id, creditor_id, currency, 0, 0, due_minor FROM settlement_due
        ) parts
        GROUP BY debtor_id, creditor_id, currency HAVING sum(owed) - sum(held) <> sum(due)
        ORDER BY debtor_id, creditor_id LIMIT 1""",
}
_PROOFS = {
    PERIODS: ("settlement_prove", ("draft", "approved", "issued", "paid")),
    DUES: ("settlement_due_prove", ("approved", "issued", "paid")),
}


async def _prove_periods(db: AsyncConnection, invariant: str) -> Broken | None:
    """Prove every period that has come so far as it was proven then."""
    proof, states = _PROOFS[invariant]
    rows = await db.scalars(
        text("""
          SELECT period_id FROM settlement_period WHERE state = ANY (CAST(:states AS text[]))
          ORDER BY starts_on"""),
        {"states": list(states)},
    )
    for period_id in rows.all():
        try:
            async with db.begin_nested():
                await db.execute(text(f"SELECT {proof}(:id)"), {"id": period_id})
        except DBAPIError as failure:
            return Broken(invariant, 0, str(failure.orig).split(": ", 1)[-1])
    return None


async def check(db: AsyncConnection, invariant: str) -> Broken | None:
    """Return how one of CHECKS, PERIODS or DUES is broken, or None when it holds."""
    if invariant in _PROOFS:
        return await _prove_periods(db, invariant)
    return await prove(db, invariant, CHECKS[invariant])
