"""Lock quotas: what several requests of one transaction take, in the one order of their numbers."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def lock_member_quotas(db: AsyncConnection, *, member_id: int) -> None:
    """Lock all that a member has, before several benefits are held or used for it."""
    await db.execute(
        text("""
          SELECT 1 FROM entitlement WHERE member_id = :member_id
          ORDER BY entitlement_id FOR UPDATE"""),
        {"member_id": member_id},
    )


async def lock_parts(db: AsyncConnection, *, ids: Sequence[int]) -> None:
    """Lock these holds, and what they and these uses are parts of, before several of them end."""
    facts = {"ids": list(ids)}
    await db.execute(
        text("""
          SELECT 1 FROM entitlement_hold WHERE hold_id = ANY (CAST(:ids AS bigint[]))
          ORDER BY hold_id FOR UPDATE"""),
        facts,
    )
    await db.execute(
        text("""
          SELECT 1 FROM entitlement WHERE entitlement_id IN (
            SELECT n.entitlement_id FROM entitlement_entry n
            WHERE n.reference_id = ANY (CAST(:ids AS bigint[]))
            UNION ALL
            SELECT p.entitlement_id FROM unnest(CAST(:ids AS bigint[])) AS u (id)
            CROSS JOIN LATERAL entitlement_parts(u.id) p)
          ORDER BY entitlement_id FOR UPDATE"""),
        facts,
    )
