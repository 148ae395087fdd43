"""Prove over the whole database that vouchers are what their entries say."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.verify import Broken, prove

CHECKS = {
    "a voucher has reserved and used what its entries say": """
        SELECT coalesce(v.member_id, 0), format('voucher %s: %s reserved and %s used, its entries '
          'say %s and %s', voucher_id, v.held, v.used, e.held, e.used)
        FROM (SELECT voucher_id, member_id, held, used FROM voucher
          WHERE held <> 0 OR used <> 0 OR member_id IS NOT NULL) v
        FULL JOIN (SELECT voucher_id, sum(held) AS held, sum(used) AS used FROM voucher_entry
          GROUP BY voucher_id) e USING (voucher_id)
        WHERE (coalesce(v.held, 0), coalesce(v.used, 0))
          IS DISTINCT FROM (coalesce(e.held, 0), coalesce(e.used, 0))
        ORDER BY voucher_id LIMIT 1""",
    "a voucher has reserved what open reservations keep": """
        SELECT coalesce(v.member_id, 0), format('voucher %s: %s reserved, reservations keep %s',
          voucher_id, v.held, h.n)
        FROM (SELECT voucher_id, member_id, held FROM voucher WHERE held <> 0) v
        FULL JOIN (SELECT voucher_id, sum(quantity) AS n FROM voucher_hold WHERE open
          GROUP BY voucher_id) h USING (voucher_id)
        WHERE coalesce(v.held, 0) <> coalesce(h.n, 0) ORDER BY voucher_id LIMIT 1""",
    "no more of a redeemed voucher is cancelled than was redeemed": """
        SELECT coalesce(r.member_id, 0), format('entry %s: %s of %s cancelled, price %s of %s',
          r.entry_id, c.amount, r.amount_minor, c.price, r.price_minor)
        FROM (SELECT undoes, -sum(amount_minor) AS amount, -sum(price_minor) AS price,
            -sum(used) AS used FROM voucher_entry WHERE undoes IS NOT NULL GROUP BY undoes) c
        JOIN voucher_entry r ON r.entry_id = c.undoes
        WHERE r.kind <> 'redeemed' OR c.amount > r.amount_minor OR c.price > r.price_minor
          OR c.used > r.used OR (c.amount = r.amount_minor AND c.price <> r.price_minor)
        ORDER BY r.entry_id LIMIT 1""",
}


async def check(db: AsyncConnection, invariant: str) -> Broken | None:
    """Return how one of CHECKS is broken, or None when it holds."""
    return await prove(db, invariant, CHECKS[invariant])
