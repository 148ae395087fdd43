"""Report: what became of a campaign's grants, and what they have cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.campaigns.open_campaign import Campaign, campaign_named

_QUOTAS = text("""
SELECT count(*) AS members, coalesce(sum(granted), 0)::bigint AS granted,
  coalesce(sum(held), 0)::bigint AS held, coalesce(sum(used), 0)::bigint AS used,
  coalesce(sum(ended), 0)::bigint AS ended, coalesce(sum(free), 0)::bigint AS left
FROM entitlement WHERE source = 'campaign' AND source_id LIKE :code || ':%'
""")
# What a use costs is fixed by its request; a capture is a request of its own.
_COSTS = text("""
SELECT u.currency, sum(CASE WHEN n.kind IN ('used', 'captured', 'moved_in') THEN n.quantity
  ELSE -n.quantity END * u.price_minor)::bigint AS minor
FROM entitlement e JOIN entitlement_entry n USING (entitlement_id)
JOIN entitlement_use u ON u.use_id = coalesce(n.request_id, n.reference_id)
WHERE e.source = 'campaign' AND e.source_id LIKE :code || ':%'
  AND n.kind IN ('used', 'captured', 'moved_in', 'returned', 'moved_out')
GROUP BY u.currency HAVING count(*) > 0 ORDER BY u.currency
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What uses have cost the campaign's funder, cancelled ones taken off."""

    currency: str
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a campaign: its uses, and the members who have them."""

    campaign: Campaign
    members: int
    granted: int
    held: int
    used: int
    ended: int
    left: int
    costs: Sequence[Cost]


async def report(db: AsyncConnection, *, code: str) -> Report:
    """Return what a campaign has come to; raises NotFound."""
    campaign = await campaign_named(db, code=code)
    quotas = (await db.execute(_QUOTAS, {"code": code})).one()
    costs = await db.execute(_COSTS, {"code": code})
    return Report(
        campaign=campaign, **quotas._asdict(), costs=[Cost(**row._asdict()) for row in costs]
    )
