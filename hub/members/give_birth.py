"""Give birth: accounts that an identifier had led to a member get a birth of their own."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.family import lock_family

_LINKED = text("""
SELECT l.account_id, l.member_id AS born_id, lower(l.valid) AS since
FROM account_link l
WHERE l.account_id = ANY (CAST(:accounts AS bigint[])) AND upper_inf(l.valid)
""")
# A link that was made at this very moment never held.
_END_LINKS = text("""
WITH brief AS (
  DELETE FROM account_link
  WHERE account_id = ANY (CAST(:accounts AS bigint[])) AND upper_inf(valid)
    AND lower(valid) >= CAST(:now AS timestamptz))
UPDATE account_link SET valid = tstzrange(lower(valid), CAST(:now AS timestamptz))
WHERE account_id = ANY (CAST(:accounts AS bigint[])) AND upper_inf(valid)
  AND lower(valid) < CAST(:now AS timestamptz)
""")
_BIRTH = text("""
WITH child AS (
  INSERT INTO member (created_at, status, merged_into) VALUES (:now, 'merged', :member_id)
  RETURNING member_id
), links AS (
  INSERT INTO account_link (account_id, member_id, method, valid)
  SELECT a.account_id, child.member_id, 'birth', tstzrange(CAST(:now AS timestamptz), NULL)
  FROM unnest(CAST(:accounts AS bigint[])) AS a (account_id), child
), claims AS (
  UPDATE identifier_claim c SET member_id = child.member_id FROM child
  WHERE c.account_id = ANY (CAST(:accounts AS bigint[]))
)
INSERT INTO member_edge (low_member_id, high_member_id, method, reason, made_at, made_by)
SELECT :born_id, child.member_id, 'batch', :reason, least(:since, :now), :actor FROM child
RETURNING high_member_id
""")


async def give_birth(
    db: AsyncConnection,
    *,
    member_id: int,
    account_ids: Sequence[int],
    actor: str,
    now: datetime,
    reason: str,
) -> list[int]:
    """Lock the member and make these accounts, of each of its births, a birth of their own.

    The member stays one: an edge joins each new birth to the one that its accounts were linked to,
    since they were. What they claim is the new birth's. Accounts that are all a birth has are left
    as they are. Returns the new births, whom `split_members` can then let go.
    """
    family = await lock_family(db, member_id=member_id)
    linked = (await db.execute(_LINKED, {"accounts": list(account_ids)})).all()
    staying = {one.born_id for one in family.accounts if one.account_id not in set(account_ids)}
    births = []
    for born_id in sorted({row.born_id for row in linked} & staying):
        own = [row for row in linked if row.born_id == born_id]
        facts = {"accounts": [row.account_id for row in own], "now": now}
        await db.execute(_END_LINKS, facts)
        child = await db.scalar(
            _BIRTH,
            {
                **facts,
                "member_id": family.member_id,
                "born_id": born_id,
                "since": min(row.since for row in own),
                "reason": reason,
                "actor": actor,
            },
        )
        births.append(int(child or 0))
    return births
