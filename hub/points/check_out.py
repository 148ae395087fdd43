"""Check out: what a stay's guest earned meanwhile becomes active when the guest leaves."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.post import post_check_out


async def check_out(
    db: AsyncConnection, *, left: Mapping[tuple[int, int], datetime], now: datetime
) -> None:
    """Make active what waits for a check-out: of each `(member_id, account_id)` that has `left`.

    Of an account that which was earned by then. The check-out is remembered: what was earned before
    it and arrives later does not wait. Doing it again, or for an earlier stay afterwards, changes
    nothing.
    """
    if not left:
        return
    ordered = sorted(left)
    members = [member_id for member_id, _ in ordered]
    accounts = [account_id for _, account_id in ordered]
    left_at = [left[who] for who in ordered]
    await db.execute(
        text("""
          INSERT INTO check_out AS c (member_id, account_id, left_at)
          SELECT * FROM unnest(CAST(:members AS bigint[]), CAST(:accounts AS bigint[]),
            CAST(:left_at AS timestamptz[]))
          ON CONFLICT (member_id, account_id) DO UPDATE
            SET left_at = greatest(c.left_at, excluded.left_at)"""),
        {"members": members, "accounts": accounts, "left_at": left_at},
    )
    await post_check_out(db, members=members, accounts=accounts, left_at=left_at, now=now)


async def known_check_outs(
    db: AsyncConnection, *, account_ids: Collection[tuple[int, int]]
) -> dict[tuple[int, int], datetime]:
    """Return the latest known check-out of each `(member_id, account_id)` that has one."""
    rows = await db.execute(
        text("""
          SELECT c.member_id, c.account_id, c.left_at FROM check_out c
          JOIN unnest(CAST(:members AS bigint[]), CAST(:accounts AS bigint[]))
            AS a (member_id, account_id) USING (member_id, account_id)"""),
        {
            "members": [member_id for member_id, _ in account_ids],
            "accounts": [account_id for _, account_id in account_ids],
        },
    )
    return {(row.member_id, row.account_id): row.left_at for row in rows}
