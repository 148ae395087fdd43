"""Prove I7: one effect per business fact, and one fact per effect."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.verify import Broken, prove

# A fact's effect is known to the ledger by hub.intake.fact.idempotency_key.
CHECKS = {
    "I7 what a fact did is in the ledger": """
        SELECT coalesce(f.member_id, 0), format('fact %s %s of connection %s: there is no '
          'transaction %s', f.kind, f.source_id, f.connection_id, f.tx_id)
        FROM business_fact f
        WHERE f.tx_id IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.tx_id = f.tx_id)
        ORDER BY 1, f.tx_id LIMIT 1""",
    "I7 no two facts have one effect": """
        SELECT coalesce(min(member_id), 0), format('transaction %s is the effect of %s facts: %s',
          tx_id, count(*), string_agg(kind || ' ' || source_id, ', ' ORDER BY kind, source_id))
        FROM business_fact WHERE tx_id IS NOT NULL
        GROUP BY tx_id HAVING count(*) > 1 ORDER BY 1, tx_id LIMIT 1""",
    "I7 what a source earned has its fact": """
        SELECT t.member_id, format('transaction %s (%s) has no fact that says it',
          t.tx_id, t.idempotency_key)
        FROM ledger_transaction t
        WHERE t.kind = 1 AND t.idempotency_key LIKE 'fact:%'
          AND NOT EXISTS (SELECT 1 FROM business_fact f WHERE f.tx_id = t.tx_id
            AND t.idempotency_key = 'fact:' || f.connection_id || ':' || f.kind || ':'
              || f.source_id)
        ORDER BY 1, t.tx_id LIMIT 1""",
}


async def check(db: AsyncConnection, invariant: str) -> Broken | None:
    """Return how one of CHECKS is broken, or None when it holds."""
    return await prove(db, invariant, CHECKS[invariant])
