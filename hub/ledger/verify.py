"""Prove the ledger's invariants over the whole database."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that does not hold, and the first member whose rows show it."""

    invariant: str
    member_id: int
    detail: str


# I1 needs no query: an entry has a debit and a credit side, and they differ by constraint.
_CHECKS = {
    "I3 a balance is the sum of its entries": """
        SELECT coalesce(b.member_id, e.member_id) AS member_id,
          format('unit %s: balance %s, entries %s', coalesce(b.unit, e.unit), b.posted, e.n)
        FROM balance b FULL JOIN (
          SELECT member_id, unit,
            sum(CASE WHEN credit = 1 THEN points ELSE 0 END)
            - sum(CASE WHEN debit = 1 THEN points ELSE 0 END) AS n
          FROM entry GROUP BY member_id, unit) e USING (member_id, unit)
        WHERE b.posted IS DISTINCT FROM coalesce(e.n, 0)
          AND NOT (b.posted IS NULL AND e.n = 0)
        ORDER BY 1 LIMIT 1""",
    "I4 lots' remainders are the spendable balance": """
        SELECT coalesce(b.member_id, l.member_id) AS member_id,
          format('balance %s, lots %s', b.posted, l.n)
        FROM (SELECT * FROM balance WHERE unit = 1) b
        FULL JOIN (SELECT member_id, sum(remaining) AS n FROM lot GROUP BY member_id) l
          USING (member_id)
        WHERE coalesce(b.posted, 0) <> coalesce(l.n, 0)
        ORDER BY 1 LIMIT 1""",
    "I5 what is held is what holds have left": """
        SELECT coalesce(b.member_id, h.member_id) AS member_id,
          format('balance holds %s, holds have %s left', b.held, h.n)
        FROM (SELECT * FROM balance WHERE unit = 1) b
        FULL JOIN (SELECT member_id, sum(points - captured - voided) AS n
          FROM hold GROUP BY member_id) h USING (member_id)
        WHERE coalesce(b.held, 0) <> coalesce(h.n, 0)
        ORDER BY 1 LIMIT 1""",
    "a lot is what its entries left of it": """
        SELECT l.member_id, format('lot %s: remaining %s, entries %s', l.lot_id, l.remaining, e.n)
        FROM lot l LEFT JOIN (
          SELECT member_id, lot_id,
            sum(CASE WHEN credit = 1 THEN points ELSE -points END) AS n
          FROM entry WHERE unit = 1 GROUP BY member_id, lot_id) e USING (member_id, lot_id)
        WHERE l.remaining IS DISTINCT FROM e.n
        ORDER BY 1 LIMIT 1""",
}


async def verify(db: AsyncConnection) -> list[Broken]:
    """Return each broken invariant with the first member that shows it; empty when all hold."""
    broken = []
    for invariant, query in _CHECKS.items():
        row = (await db.execute(text(query))).first()
        if row is not None:
            broken.append(Broken(invariant, row[0], row[1]))
    return broken
