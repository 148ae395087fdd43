"""Lock payers: whoever paid bills in points, pools before balances, before any of it comes back."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.post import lock_balances
from hub.points.pool_queries import pools_ever_of, spenders


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt of a business says of the points that paid: for whom, and which redemption.

    `reference` is the key under which the till asked for it, or its transaction's number; a number
    is one of `member_id`, or of a pool that they are or were in.
    """

    business_id: int
    reference: str
    member_id: int | None

    @property
    def keys(self) -> list[str]:
        """The keys under which the ledger may know the redemption."""
        return [self.reference, f"api:{self.reference}"]

    @property
    def number(self) -> int | None:
        """The transaction's number, if the reference can be one."""
        written = self.reference
        if written.isascii() and written.isdigit() and int(written) < 2**63:
            return int(written)
        return None


async def lock_payers(
    db: AsyncConnection, *, receipts: Collection[Receipt], member_ids: Collection[int] = ()
) -> set[int]:
    """Lock the pools that paid, then all balances concerned; returns these pools.

    Concerned are who paid, who gets back what a closed pool paid, and `member_ids`. Nobody may
    hold a balance before: pools come first.
    """
    paid = await _by_key(db, receipts)
    numbered = [one for one in receipts if one.number is not None and one.member_id is not None]
    ever = await pools_ever_of(db, member_ids=[one.member_id or 0 for one in numbered])
    holders = {one for holder, _, now_is in paid for one in (holder, now_is)}
    pools = await _lock_pools(db, holders | ever)
    closed = [pool_id for pool_id, is_closed in pools.items() if is_closed]
    heirs: Collection[int] = ()
    if closed:
        accounts = await _spent_on(
            db, closed, [*(tx for _, tx, _ in paid), *(one.number for one in numbered)]
        )
        heirs = (await spenders(db, account_ids=accounts)).values()
    concerned = holders | set(pools) | set(heirs) | set(member_ids)
    await lock_balances(db, member_ids=concerned)
    return set(pools)


async def _by_key(db: AsyncConnection, receipts: Collection[Receipt]) -> set[tuple[int, int, int]]:
    """Return the redemptions that receipts name by their keys: who spent, the number, and who that
    is by now, after merges and splits.
    """
    if not receipts:
        return set()
    named = [(one.business_id, key) for one in receipts for key in one.keys]
    rows = await db.execute(
        text("""
          SELECT t.member_id, t.tx_id,
            coalesce(account_holder(t.account_id), t.member_id) AS now_is
          FROM unnest(CAST(:businesses AS smallint[]), CAST(:keys AS text[]))
            AS x (business_id, key)
          JOIN ledger_transaction t ON t.business_id = x.business_id AND t.idempotency_key = x.key
          WHERE t.kind IN (2, 4) AND t.outcome = 0"""),
        {"businesses": [one for one, _ in named], "keys": [key for _, key in named]},
    )
    return {(row.member_id, row.tx_id, row.now_is) for row in rows}


async def _lock_pools(db: AsyncConnection, holder_ids: Collection[int]) -> dict[int, bool]:
    """Lock those of the holders that are pools; return whether each is closed."""
    if not holder_ids:
        return {}
    rows = await db.execute(
        text("""
          SELECT pool_id, closed_at IS NOT NULL AS closed FROM pool
          WHERE pool_id = ANY(CAST(:ids AS bigint[])) ORDER BY pool_id FOR UPDATE"""),
        {"ids": list(holder_ids)},
    )
    return {row.pool_id: row.closed for row in rows}


async def _spent_on(
    db: AsyncConnection, holder_ids: Collection[int], tx_ids: Collection[int | None]
) -> list[int]:
    """Return the accounts on which holders spent in these transactions."""
    found = await db.scalars(
        text("""
          SELECT DISTINCT account_id FROM entry
          WHERE member_id = ANY(CAST(:holders AS bigint[])) AND tx_id = ANY(CAST(:txs AS bigint[]))
            AND credit = 20 AND account_id IS NOT NULL"""),
        {"holders": list(holder_ids), "txs": list(tx_ids)},
    )
    return list(found)
