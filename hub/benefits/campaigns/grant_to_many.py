"""Grant to many: a campaign's benefit for each of a set of members, in two statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.campaigns.open_campaign import Campaign

# Whoever has it, or was merged with somebody who has, is not given it again. LIMIT has each of
# them looked up: a join would read all that was ever granted, for every member.
WHOM = """
asked AS MATERIALIZED (
  SELECT DISTINCT w.member_id FROM unnest(CAST(:ids AS bigint[])) AS u (id)
  JOIN member m ON m.member_id = u.id
  JOIN member w ON w.member_id = coalesce(m.merged_into, m.member_id) AND w.erased_at IS NULL
), due AS MATERIALIZED (
  SELECT member_id FROM asked a WHERE NOT EXISTS (
    SELECT 1 FROM unnest(ledger_kin(ARRAY[a.member_id])) AS k (id)
    CROSS JOIN LATERAL (SELECT 1 FROM entitlement e WHERE e.source = 'campaign'
      AND e.source_id = format('%s:%s', CAST(:code AS text), k.id) LIMIT 1) had)
)"""
_LOCK = text("""
SELECT 1 FROM member WHERE member_id = ANY (CAST(:ids AS bigint[])) ORDER BY member_id FOR SHARE
""")
_GRANT = text(f"""
WITH {WHOM}, opened AS (
  INSERT INTO entitlement (member_id, birth_member_id, benefit_id, source, source_id, starts_on,
    ends_on)
  SELECT d.member_id, d.member_id, c.benefit_id, 'campaign', format('%s:%s', c.code, d.member_id),
    c.starts_on, c.ends_on
  FROM due d JOIN benefit_campaign c ON c.code = :code ORDER BY d.member_id
  ON CONFLICT (source, source_id) DO NOTHING RETURNING entitlement_id
), granted AS (
  INSERT INTO entitlement_entry (entitlement_id, kind, quantity, reason, actor, occurred_at)
  SELECT entitlement_id, 'granted', :quantity, :reason, :actor, :now
  FROM opened ORDER BY entitlement_id
)
SELECT (SELECT count(*) FROM opened) AS granted, (SELECT count(*) FROM asked) AS known
""")  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedToMany:
    """How many members were granted it, how many had it, and how many the hub does not know."""

    granted: int
    had: int
    unknown: int


async def grant_to_many(
    db: AsyncConnection,
    *,
    campaign: Campaign,
    member_ids: Sequence[int],
    actor: str,
    now: datetime,
) -> GrantedToMany:
    """Grant the campaign's benefit to each of these members who has not been granted it.

    Again it grants nothing. Of a member who was merged its survivor is granted it; who is unknown
    or erased is left out.
    """
    ids = sorted(set(member_ids))
    # Whoever is granted something is not merged meanwhile.
    await db.execute(_LOCK, {"ids": ids})
    row = (
        await db.execute(
            _GRANT,
            {
                "ids": ids, "code": campaign.code, "quantity": campaign.quantity,
                "reason": campaign.reason, "actor": actor, "now": now,
            },
        )
    ).one()  # fmt: skip
    return GrantedToMany(
        granted=row.granted, had=row.known - row.granted, unknown=len(ids) - row.known
    )
