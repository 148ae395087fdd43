"""Own birth: an account that an identifier led to a member becomes a birth that can leave it."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LINK = text("""
SELECT l.member_id AS born_id, coalesce(m.merged_into, m.member_id) AS member_id,
  NOT EXISTS (SELECT 1 FROM account_link o WHERE o.member_id = l.member_id
    AND upper_inf(o.valid) AND o.account_id <> l.account_id) AS alone,
  l.method = 'birth' AND (m.merged_into IS NOT NULL OR EXISTS (
    SELECT 1 FROM member f WHERE f.merged_into = m.member_id)) AS own
FROM account_link l JOIN member m ON m.member_id = l.member_id
WHERE l.account_id = :account_id AND upper_inf(l.valid)
""")
_BEAR = text("""
INSERT INTO member (status, merged_into, created_at) VALUES ('merged', :member_id, :now)
RETURNING member_id
""")
# What was linked at this very instant was never linked before it.
_UNLINK = (
    text("""
      DELETE FROM account_link
      WHERE account_id = :account_id AND upper_inf(valid) AND lower(valid) >= :now"""),
    text("""
      UPDATE account_link SET valid = tstzrange(lower(valid), :now)
      WHERE account_id = :account_id AND upper_inf(valid)"""),
)
_RELINK = (
    text("""
      INSERT INTO account_link (account_id, member_id, method, valid)
      VALUES (:account_id, :born_id, 'birth', tstzrange(:now, NULL))"""),
    text("""
      UPDATE identifier_claim SET member_id = :born_id
      WHERE account_id = :account_id AND member_id = :from_id AND closed_at IS NULL"""),
    text("""
      INSERT INTO member_edge (low_member_id, high_member_id, method, made_at, made_by, reason)
      VALUES (:from_id, :born_id, 'staff', :now, :actor, 'an identifier had led to the member')"""),
)


async def own_birth(db: AsyncConnection, *, account_id: int, actor: str, now: datetime) -> int:
    """Return the birth by which an account can leave its member; lock the member's family first.

    That is the one that was made for it, with whom else identifiers led there. Where an identifier
    led the account itself, or its birth is all that the member is, it gets a new birth with its
    open claims, linked to the old one by an edge: nobody is somebody else by that.
    """
    link = (await db.execute(_LINK, {"account_id": account_id})).one()
    if link.alone or link.own:
        return int(link.born_id)
    born_id = await db.scalar(_BEAR, {"member_id": link.member_id, "now": now})
    facts = {
        "account_id": account_id,
        "from_id": link.born_id,
        "born_id": born_id,
        "now": now,
        "actor": actor,
    }
    for statement in (*_UNLINK, *_RELINK):
        wanted = {name: value for name, value in facts.items() if f":{name}" in statement.text}
        await db.execute(statement, wanted)
    return int(born_id or 0)
