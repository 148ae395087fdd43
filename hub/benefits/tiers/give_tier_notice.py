"""Give notices of tiers: say what is still so at this moment, or withdraw the notice."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.notify_tiers import DAYS_AHEAD, at_risk
from hub.clock import business_date

_GIVE = text("""
UPDATE tier_notice n SET state = CASE WHEN so THEN 'given' ELSE 'withdrawn' END,
  given_at = CASE WHEN so THEN CAST(:now AS timestamptz) END
FROM tier_notice d JOIN member_tier h USING (member_id, step) JOIN ladder l USING (ladder_id)
CROSS JOIN LATERAL (SELECT h.until IS NULL AND (d.kind <> 'at_risk' OR EXISTS (
  SELECT 1 FROM unnest(CAST(:ids AS bigint[]), CAST(:ladders AS text[])) AS x (member_id, code)
  WHERE x.member_id = d.member_id AND x.code = l.code)) AS so) x
WHERE d.notice_id = ANY (CAST(:notices AS bigint[])) AND n.state = 'due'
  AND n.member_id = d.member_id AND n.step = d.step AND n.kind = d.kind
  AND n.days_ahead = d.days_ahead
RETURNING n.state
""")


async def give_tier_notice(
    db: AsyncConnection, *, notice_ids: Sequence[int], now: datetime, time_zone: str
) -> int:
    """Give the notices that are due; returns how many were given.

    Of a tier that is not held any more, or that is kept meanwhile, nobody is told. One that was
    given or withdrawn before is left as it is.
    """
    asked = {"notices": list(notice_ids)}
    members = list(
        await db.scalars(
            text("""
              SELECT DISTINCT member_id FROM tier_notice
              WHERE notice_id = ANY (CAST(:notices AS bigint[])) AND kind = 'at_risk'"""),
            asked,
        )
    )
    horizon = business_date(now, time_zone) + timedelta(days=max(DAYS_AHEAD))
    risky = await at_risk(db, member_ids=members, now=now, time_zone=time_zone, until=horizon)
    states = await db.scalars(
        _GIVE,
        {
            **asked,
            "now": now,
            "ids": [member_id for member_id, _ in risky],
            "ladders": [ladder for _, ladder in risky],
        },
    )
    return sum(state == "given" for state in states)
