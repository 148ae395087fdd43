"""Prove the ledger's invariants over the whole database, and name the first row that breaks one."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.queries import SIGNED_POINTS


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that does not hold, and the first member (0: nobody's) whose rows show it."""

    invariant: str
    member_id: int
    detail: str


# That an entry's sides differ and its points are positive is a constraint; so are the uniqueness of
# keys, and captured + voided <= held. What is proven here is what no constraint sees.
CHECKS = {
    "I1 what leaves one holder comes to another": """
        SELECT member_id, format('transaction %s, unit %s: %s points left and did not arrive',
          tx_id, unit, n)
        FROM (SELECT tx_id, unit, side, min(member_id) AS member_id,
            sum(CASE WHEN credit = side THEN points ELSE -points END) AS n
          FROM entry CROSS JOIN (VALUES (50), (100), (110)) AS nets (side)
          WHERE side IN (debit, credit) GROUP BY tx_id, unit, side) moved
        WHERE n <> 0 ORDER BY 1 LIMIT 1""",
    "I2 entries are never changed": """
        SELECT 0, format('%s lets entries be changed: its trigger is missing or off',
          c.oid::regclass)
        FROM pg_class c
        WHERE (c.oid = 'entry'::regclass
            OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'entry'::regclass))
          AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid
            AND t.tgname = 'entry_append_only' AND t.tgenabled IN ('O', 'A'))
        ORDER BY c.oid LIMIT 1""",
    "I3 a balance is the sum of its entries": f"""
        SELECT coalesce(b.member_id, e.member_id) AS member_id,
          format('unit %s: balance %s, entries %s', coalesce(b.unit, e.unit), b.posted, e.n)
        FROM balance b FULL JOIN (
          SELECT member_id, unit, sum({SIGNED_POINTS}) AS n FROM entry GROUP BY member_id, unit) e
          USING (member_id, unit)
        WHERE coalesce(b.posted, 0) <> coalesce(e.n, 0)
        ORDER BY 1 LIMIT 1""",  # noqa: S608 - a constant of ours
    "I3 every entry has its header": """
        SELECT e.member_id, format('transaction %s has entries and no header', e.tx_id)
        FROM (SELECT DISTINCT member_id, tx_id FROM entry) e
        WHERE NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.tx_id = e.tx_id)
        ORDER BY 1, 2 LIMIT 1""",
    "I4 lots' remainders are the spendable balance and what is owed": """
        SELECT coalesce(b.member_id, l.member_id) AS member_id,
          format('unit %s: balance %s, owed %s, lots %s', coalesce(b.unit, l.unit), b.posted,
            b.owed, l.n)
        FROM (SELECT * FROM balance WHERE unit <> 2) b
        FULL JOIN (SELECT member_id, unit, sum(remaining) AS n FROM lot GROUP BY 1, 2) l
          USING (member_id, unit)
        WHERE coalesce(b.posted + b.owed, 0) <> coalesce(l.n, 0)
        ORDER BY 1 LIMIT 1""",
    "I4 what is pending is what lots have pending": """
        SELECT coalesce(b.member_id, l.member_id) AS member_id,
          format('unit %s: balance %s pending, lots %s', coalesce(b.unit, l.unit), b.pending, l.n)
        FROM balance b FULL JOIN (
          SELECT member_id, unit, sum(remaining) AS n FROM lot WHERE pending GROUP BY 1, 2) l
          USING (member_id, unit)
        WHERE coalesce(b.pending, 0) <> coalesce(l.n, 0)
        ORDER BY 1 LIMIT 1""",
    "I4 what is owed is what clawbacks left": """
        SELECT coalesce(b.member_id, s.member_id) AS member_id,
          format('unit %s: balance owes %s, clawbacks left %s', coalesce(b.unit, s.unit), b.owed,
            s.n)
        FROM balance b FULL JOIN (
          SELECT member_id, unit, sum(points - settled) AS n FROM shortfall WHERE mode = 1
          GROUP BY 1, 2) s USING (member_id, unit)
        WHERE coalesce(b.owed, 0) <> coalesce(s.n, 0)
        ORDER BY 1 LIMIT 1""",
    "I4 a lot is what its entries left of it": f"""
        SELECT coalesce(l.member_id, e.member_id) AS member_id,
          format('lot %s: remaining %s, entries %s', coalesce(l.lot_id, e.lot_id), l.n, e.n)
        FROM (
          SELECT member_id, lot_id, remaining AS n FROM lot
          UNION ALL SELECT member_id, tx_id, settled - points FROM shortfall WHERE mode = 1) l
        FULL JOIN (
          SELECT member_id, lot_id, sum({SIGNED_POINTS}) AS n FROM entry WHERE unit <> 2
          GROUP BY member_id, lot_id) e USING (member_id, lot_id)
        WHERE coalesce(l.n, 0) <> coalesce(e.n, 0)
        ORDER BY 1 LIMIT 1""",  # noqa: S608 - a constant of ours
    "I4 a receivable is what its entries left of it": """
        SELECT coalesce(s.member_id, e.member_id) AS member_id,
          format('clawback %s: receivable %s, entries %s', coalesce(s.tx_id, e.tx_id), s.n, e.n)
        FROM (SELECT member_id, unit, min(tx_id) AS tx_id, sum(points - settled) AS n
          FROM shortfall WHERE mode = 2 GROUP BY 1, 2) s
        FULL JOIN (SELECT member_id, unit, min(tx_id) AS tx_id,
            sum(CASE WHEN debit = 80 THEN points ELSE -points END) AS n
          FROM entry WHERE 80 IN (debit, credit) GROUP BY 1, 2) e USING (member_id, unit)
        WHERE coalesce(s.n, 0) <> coalesce(e.n, 0)
        ORDER BY 1 LIMIT 1""",
    "I5 what is held is what holds have left": """
        SELECT coalesce(b.member_id, h.member_id) AS member_id,
          format('unit %s: balance holds %s, holds have %s left', coalesce(b.unit, h.unit), b.held,
            h.n)
        FROM balance b FULL JOIN (
          SELECT member_id, unit, sum(points - captured - voided) AS n FROM hold GROUP BY 1, 2) h
          USING (member_id, unit)
        WHERE coalesce(b.held, 0) <> coalesce(h.n, 0)
        ORDER BY 1 LIMIT 1""",
    "I5 a capture is a part of its hold": """
        SELECT h.member_id, format('hold %s: captured %s and voided %s, requests say %s and %s',
          h.hold_id, h.captured, h.voided, t.captured, t.voided)
        FROM hold h LEFT JOIN (
          SELECT reference_tx,
            sum(points) FILTER (WHERE kind = 4) AS captured,
            sum(points) FILTER (WHERE kind IN (5, 9)) AS voided
          FROM ledger_transaction WHERE kind IN (4, 5, 9) AND outcome = 0 GROUP BY 1) t
          ON t.reference_tx = h.hold_id
        WHERE h.captured <> coalesce(t.captured, 0) OR h.voided <> coalesce(t.voided, 0)
        ORDER BY 1 LIMIT 1""",
    "the daily sums are those of the entries": """
        SELECT 0, format('%s, sides %s to %s, issuer %s, business %s: %s, entries say %s',
          business_date, debit, credit, issuer_id, business_id, d.points, e.points)
        FROM (SELECT business_date, unit, debit, credit, issuer_id, business_id, cost_rate,
            sum(points) AS points
          FROM entry_daily GROUP BY 1, 2, 3, 4, 5, 6, 7) d
        FULL JOIN (
          SELECT business_date, unit, debit, credit, issuer_id, business_id, cost_rate,
            sum(points) AS points
          FROM entry, entry_daily_seen s
          WHERE tx_id <= s.floor_tx OR pg_visible_in_snapshot(xact::text::xid8, s.snapshot)
          GROUP BY 1, 2, 3, 4, 5, 6, 7) e
          USING (business_date, unit, debit, credit, issuer_id, business_id, cost_rate)
        WHERE d.points IS DISTINCT FROM e.points
        ORDER BY business_date LIMIT 1""",
}


async def verify(db: AsyncConnection) -> list[Broken]:
    """Return each broken invariant with the first member that shows it; empty when all hold.

    Run it in a transaction that sees one state throughout (REPEATABLE READ) while others write.
    """
    return [found for name in CHECKS if (found := await check(db, name)) is not None]


async def check(db: AsyncConnection, invariant: str) -> Broken | None:
    """Return how one of CHECKS is broken, or None when it holds."""
    return await prove(db, invariant, CHECKS[invariant])


async def prove(db: AsyncConnection, invariant: str, query: str) -> Broken | None:
    """Return what `query` says to be broken, or None. It yields a member and what is wrong."""
    row = (await db.execute(text(query))).first()
    return None if row is None else Broken(invariant, row[0], row[1])
