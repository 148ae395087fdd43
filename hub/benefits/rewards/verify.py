"""What `hub ledger verify` proves of rewards: of stock what came and went, of orders the points."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.verify import Broken, prove

CHECKS: dict[str, str] = {
    "the stock of a reward is what came in less what went out": """
        SELECT 0, format('%s: %s on the shelf, entries say %s', r.code, s.available,
          coalesce(e.n, 0))
        FROM reward r JOIN reward_stock s USING (reward_id) LEFT JOIN (
          SELECT reward_id, sum(quantity) AS n FROM reward_stock_entry GROUP BY 1) e
          USING (reward_id)
        WHERE s.available <> coalesce(e.n, 0) ORDER BY r.reward_id LIMIT 1""",
    "an order has the points that it took, and those of one that ended are back": """
        SELECT o.member_id, format('order %s is %s: points are %s', o.order_id, o.state,
          CASE WHEN t.tx_id IS NULL THEN 'not spent' WHEN coalesce(b.points, 0) < o.points
            THEN 'spent' ELSE 'back' END)
        FROM reward_order o
        LEFT JOIN ledger_transaction t ON t.business_id = o.business_id
          AND t.idempotency_key = format(
            CASE WHEN o.hold_id IS NULL THEN 'reward:%s' ELSE 'reward:%s:paid' END, o.order_id)
          AND t.tx_id = o.tx_id AND t.outcome = 0 AND t.points = o.points
        LEFT JOIN (SELECT reference_tx, sum(points) AS points,
            bool_or(idempotency_key LIKE 'reward%back') AS ended
          FROM ledger_transaction WHERE kind = 8 AND outcome = 0 GROUP BY 1) b
          ON b.reference_tx = o.tx_id
        WHERE CASE
          WHEN o.state IN ('confirmed', 'fulfilled')
            THEN t.tx_id IS NULL OR coalesce(b.ended, false)
          WHEN o.state IN ('cancelled', 'returned') AND o.tx_id IS NOT NULL
            THEN coalesce(b.points, 0) <> o.points
          ELSE false END
        ORDER BY o.order_id LIMIT 1""",
}


async def check(db: AsyncConnection, name: str) -> Broken | None:
    """Return how one of CHECKS is broken, or None when it holds."""
    return await prove(db, name, CHECKS[name])
