"""What `hub ledger verify` proves of referrals: the ladder counts those that count, once."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.verify import Broken, prove

CHECKS: dict[str, str] = {
    "a referral is counted for its referrer while it counts": """
        SELECT coalesce(account_holder(coalesce(r.referrer_account_id, q.account_id)), 0),
          format('%s is %s, and counts %s', coalesce('referral:' || r.referral_id, q.sale),
            coalesce(r.outcome, 'not there'), coalesce(q.n, 0))
        FROM referral r FULL JOIN (
          SELECT account_id, sale, sum(referrals) AS n FROM qualifying_activity
          WHERE sale LIKE 'referral:%' GROUP BY 1, 2) q
          ON q.sale = 'referral:' || r.referral_id AND q.account_id = r.referrer_account_id
        WHERE coalesce(q.n, 0) <> CASE WHEN r.outcome = 'counted' THEN 1 ELSE 0 END
          OR r.referral_id IS NULL
        ORDER BY 1, 2 LIMIT 1""",
}


async def check(db: AsyncConnection, name: str) -> Broken | None:
    """Return how one of CHECKS is broken, or None when it holds."""
    return await prove(db, name, CHECKS[name])
