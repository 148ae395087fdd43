"""Prove that quotas are what their entries say, over the whole database."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.verify import Broken, prove

# That no more is held, used and ended than was granted is a constraint.
CHECKS = {
    "a quota is the sum of its entries": """
        SELECT e.member_id, format('entitlement %s: granted %s, held %s, used %s, ended %s; its '
          'entries say %s, %s, %s, %s', e.entitlement_id, e.granted, e.held, e.used, e.ended,
          coalesce(n.granted, 0), coalesce(n.held, 0), coalesce(n.used, 0), coalesce(n.ended, 0))
        FROM entitlement e LEFT JOIN (
          SELECT entitlement_id,
            sum(CASE WHEN kind IN ('granted', 'restored') THEN quantity
              WHEN kind = 'merged' THEN -quantity ELSE 0 END) AS granted,
            sum(CASE WHEN kind = 'held' THEN quantity
              WHEN kind IN ('captured', 'released', 'lapsed') THEN -quantity ELSE 0 END) AS held,
            sum(CASE WHEN kind IN ('used', 'captured', 'moved_in') THEN quantity
              WHEN kind IN ('returned', 'moved_out') THEN -quantity ELSE 0 END) AS used,
            sum(CASE WHEN kind IN ('expired', 'carried', 'lost', 'revoked') THEN quantity
              ELSE 0 END) AS ended
          FROM entitlement_entry GROUP BY 1) n USING (entitlement_id)
        WHERE (e.granted, e.held, e.used, e.ended) IS DISTINCT FROM (coalesce(n.granted, 0),
          coalesce(n.held, 0), coalesce(n.used, 0), coalesce(n.ended, 0))
        ORDER BY e.member_id, e.entitlement_id LIMIT 1""",
    "held uses are what holds have left": """
        SELECT u.member_id, format('hold %s has %s left, its entries say %s', h.hold_id,
          h.quantity - h.captured - h.released, coalesce(n.held, 0))
        FROM entitlement_hold h JOIN entitlement_use u ON u.use_id = h.hold_id
        LEFT JOIN (
          SELECT reference_id, sum(CASE kind WHEN 'held' THEN quantity ELSE -quantity END) AS held
          FROM entitlement_entry WHERE kind IN ('held', 'captured', 'released', 'lapsed')
          GROUP BY 1) n ON n.reference_id = h.hold_id
        WHERE h.quantity - h.captured - h.released <> coalesce(n.held, 0)
        ORDER BY u.member_id, h.hold_id LIMIT 1""",
    "no use is cancelled beyond what was used": """
        SELECT u.member_id, format('use %s: used %s, cancelled %s', u.use_id, u.quantity, c.n)
        FROM entitlement_use u JOIN (
          SELECT reference_id, sum(quantity) AS n FROM entitlement_use
          WHERE outcome = 'cancelled' GROUP BY 1) c ON c.reference_id = u.use_id
        WHERE c.n > u.quantity OR u.outcome <> 'used'
        ORDER BY u.member_id, u.use_id LIMIT 1""",
}


async def check(db: AsyncConnection, invariant: str) -> Broken | None:
    """Return how one of CHECKS is broken, or None when it holds."""
    return await prove(db, invariant, CHECKS[invariant])
