"""Changed members: whose points or tier what was committed since a moment has moved."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class ChangedMembers:
    """Members, and up to where was looked. `all_of_them`: it may be anybody."""

    seen: str
    member_ids: frozenset[int] = frozenset()
    all_of_them: bool = False


async def changed_members(db: AsyncConnection, *, since: str | None, most: int) -> ChangedMembers:
    """Return who has changed since a look that had `seen` so far; without one, anybody may have.

    What was committed is told by snapshot (0025_egress.sql), so that nothing that commits late is
    left out. More than `most` members are all of them, and so is a database that was restored into
    a server that counts from lower on. Reads only.
    """
    if since is None:
        seen = await db.scalar(text("SELECT pg_current_snapshot()::text"))
        return ChangedMembers(str(seen), all_of_them=True)
    await db.execute(text("SET LOCAL enable_seqscan = off"))
    found = (await db.execute(_CHANGED, {"since": since, "some": most + 1})).one()
    everybody = found.restored or len(found.member_ids) > most
    return ChangedMembers(
        found.seen, frozenset() if everybody else frozenset(found.member_ids), everybody
    )


# One statement has one snapshot: what it does not see stays for the next time.
_CHANGED = text("""
WITH since AS MATERIALIZED (SELECT CAST(:since AS text)::pg_snapshot AS snapshot),
changed AS (
  SELECT e.member_id FROM entry e
  WHERE e.xact >= pg_snapshot_xmin(CAST(:since AS text)::pg_snapshot)::text::bigint
    AND NOT pg_visible_in_snapshot(e.xact::text::xid8, (SELECT snapshot FROM since))
  UNION
  SELECT t.member_id FROM member_tier t
  WHERE t.xact >= pg_snapshot_xmin(CAST(:since AS text)::pg_snapshot)::text::bigint
    AND NOT pg_visible_in_snapshot(t.xact::text::xid8, (SELECT snapshot FROM since))
  LIMIT :some
)
SELECT pg_current_snapshot()::text AS seen,
  pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmin((SELECT snapshot FROM since))
    AS restored,
  coalesce((SELECT array_agg(member_id) FROM changed), CAST('{}' AS bigint[])) AS member_ids
""")
