"""Reads of pools: who is in them. A pool's balance and lots are read like a member's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.relation import Relation
from hub.errors import Rejected
from hub.members.queries import current_members


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """An open pool, as one of its members sees it. `code` lets others join: it is for members."""

    pool_id: int
    code: str
    opened_at: datetime
    member_ids: Sequence[int]

    @property
    def size(self) -> int:
        """Return how many members are in it."""
        return len(self.member_ids)


POOLS = Relation(
    """
SELECT m.member_id, p.pool_id, p.code, p.opened_at,
  array(SELECT o.member_id FROM pool_member o
    WHERE o.pool_id = p.pool_id AND o.left_at IS NULL
    ORDER BY o.joined_at, o.member_id) AS member_ids,
  (SELECT count(*) FROM pool_member o WHERE o.pool_id = p.pool_id AND o.left_at IS NULL) AS size
FROM pool_member m JOIN pool p USING (pool_id)
WHERE m.member_id = ANY(CAST(:member_ids AS bigint[])) AND m.left_at IS NULL
""",
    ("member_id", "pool_id", "code", "opened_at", "member_ids", "size"),
)


async def pools_of(db: AsyncConnection, *, member_ids: Sequence[int]) -> dict[int, Pool]:
    """Return the open pool of each member who is in one."""
    rows = await db.execute(POOLS.statement, {"member_ids": list(member_ids)})
    return {
        row.member_id: Pool(
            pool_id=row.pool_id, code=row.code, opened_at=row.opened_at, member_ids=row.member_ids
        )
        for row in rows
    }


async def pools_ever_of(db: AsyncConnection, *, member_ids: Sequence[int]) -> set[int]:
    """Return the pools that these members, or whoever they were merged with, are or were in."""
    if not member_ids:
        return set()
    found = await db.scalars(
        text("""
          SELECT DISTINCT pool_id FROM pool_member
          WHERE member_id = ANY (ledger_kin(CAST(:member_ids AS bigint[])))"""),
        {"member_ids": list(member_ids)},
    )
    return set(found)


async def spenders(db: AsyncConnection, *, account_ids: Sequence[int]) -> dict[int, int]:
    """Return whose accounts these are now; those of erased members are left out."""
    rows = await db.execute(
        text("""
          SELECT account_id, member_id FROM account_link
          WHERE account_id = ANY(CAST(:account_ids AS bigint[])) AND upper_inf(valid)"""),
        {"account_ids": list(account_ids)},
    )
    linked = {row.account_id: row.member_id for row in rows}
    now = await current_members(db, member_ids=list(linked.values()))
    return {account: now[member] for account, member in linked.items() if member in now}


async def lock_own_pool(db: AsyncConnection, *, member_id: int) -> int | None:
    """Lock the open pool that a member is in and return its number; None: the member is in none.

    While it is locked, nobody joins or leaves. Taken before any balance.
    """
    open_one = text(
        "SELECT pool_id FROM pool_member WHERE member_id = :member_id AND left_at IS NULL"
    )
    met = await db.scalar(open_one, {"member_id": member_id})
    if met is None:
        return None
    await db.execute(
        text("SELECT 1 FROM pool WHERE pool_id = :pool_id FOR UPDATE"), {"pool_id": met}
    )
    # Read anew: the member may have left while this waited.
    now_in = await db.scalar(open_one, {"member_id": member_id})
    return met if now_in == met else None


def in_no_pool() -> Rejected:
    """Return what a member hears who is in no pool."""
    return Rejected("this member is in no pool: open one, or join one", field="member_id")
