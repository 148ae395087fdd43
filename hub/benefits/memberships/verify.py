"""What `hub ledger verify` proves of paid membership: what periods gave is in the ledger."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.verify import Broken, prove

CHECKS: dict[str, str] = {
    "the points that a period of a plan gave are in the ledger": """
        SELECT t.member_id, format('gift %s of period %s is %s points, the ledger says %s',
          g.number, g.fact_id, g.points, coalesce(x.points::text, 'nothing'))
        FROM membership_gift g JOIN membership_term t USING (fact_id)
        LEFT JOIN ledger_transaction x ON x.kind = 1 AND x.tx_id = g.tx_id
          AND x.idempotency_key = format('plan:%s:%s', g.fact_id, g.number)
        WHERE g.points IS NOT NULL AND x.points IS DISTINCT FROM g.points
        ORDER BY g.fact_id, g.number LIMIT 1""",
}


async def check(db: AsyncConnection, name: str) -> Broken | None:
    """Return how one of CHECKS is broken, or None when it holds."""
    return await prove(db, name, CHECKS[name])
