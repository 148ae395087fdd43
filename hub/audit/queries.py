"""Reads of the audit: who was shown what of a member."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.audit.chain import Read


async def reads_of(db: AsyncConnection, *, member_ids: Sequence[int]) -> list[Read]:
    """Return who was shown what of these members, oldest first."""
    rows = await db.execute(
        text("""
          SELECT member_id, attribute, subject, role, read_at FROM read_audit
          WHERE member_id = ANY(CAST(:member_ids AS bigint[])) ORDER BY seq"""),
        {"member_ids": list(member_ids)},
    )
    return [Read(**row._asdict()) for row in rows]


async def signed_under(db: AsyncConnection) -> dict[int, int]:
    """Return how many reads, anchors and seals are proven by each version of the audit key."""
    rows = await db.execute(
        text("""
          SELECT key_version, count(*) FROM (
            SELECT key_version FROM read_audit UNION ALL SELECT key_version FROM read_audit_anchor
            UNION ALL SELECT key_version FROM denial_seal
          ) signed GROUP BY key_version""")
    )
    return {row[0]: row[1] for row in rows}
