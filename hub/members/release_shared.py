"""Release a shared identifier: staff say that it is one person's after all."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.errors import NotFound
from hub.members.identifiers import Kind
from hub.members.queries import possible_digests

_RELEASE = text("""
UPDATE shared_identifier SET released_by = :released_by,
  released_at = greatest(since, CAST(:now AS timestamptz))
WHERE kind = :kind AND blind_index = ANY (CAST(:digests AS bytea[])) AND released_at IS NULL
""")


async def release_shared(
    db: AsyncConnection,
    *,
    kind: Kind,
    value: str,
    released_by: str,
    now: datetime,
    keyring: Keyring,
) -> bool:
    """Let a phone or email identify people again; returns whether it had been shared until now.

    It belongs to whoever shows it verified next, and is not learned to be shared anew. What was
    recorded in the meantime stays as it is. Raises NotFound when it was never shared.
    """
    found = {
        "kind": int(kind),
        "digests": await possible_digests(db, kind=kind, value=value, keyring=keyring),
    }
    released = await db.execute(_RELEASE, {**found, "released_by": released_by, "now": now})
    if released.rowcount:
        return True
    known = await db.scalar(
        text("""
          SELECT true FROM shared_identifier
          WHERE kind = :kind AND blind_index = ANY (CAST(:digests AS bytea[]))"""),
        found,
    )
    if not known:
        raise NotFound(f"nobody has taken this {kind.name.lower()} for a shared one", field="by")
    return False
