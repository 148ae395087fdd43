"""Reads on occasions: their terms, and what members were given."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.occasions.calendar import OccasionTerms
from hub.db.relation import Relation
from hub.members.birthdays import Calendar, LeapDay


@dataclass(frozen=True, slots=True, kw_only=True)
class OccasionGrant:
    """What a member was given on an occasion; `year` is the occasion's, by its calendar."""

    member_id: int
    occasion_code: str
    kind: str
    calendar: str
    name: str
    name_zh: str
    year: int
    points: int | None
    business_id: int | None
    voucher_id: int | None
    benefit: str | None
    given_at: datetime


# A grant is whose the account now is that it was given to.
GRANTS = Relation(
    """
SELECT w.wanted AS member_id, o.code AS occasion_code, o.kind, o.calendar, t.name, t.name_zh,
  g.year, g.points, t.business_id, g.voucher_id, b.code AS benefit,
  g.given_at
FROM unnest(CAST(:member_ids AS bigint[])) AS w (wanted)
JOIN member m ON m.member_id = w.wanted
CROSS JOIN LATERAL (
  SELECT coalesce(m.merged_into, m.member_id) AS born_id
  UNION ALL
  SELECT f.member_id FROM member f WHERE f.merged_into = coalesce(m.merged_into, m.member_id)
) family
JOIN account_link l ON l.member_id = family.born_id AND upper_inf(l.valid)
JOIN occasion_grant g ON g.account_id = l.account_id
JOIN occasion o ON o.occasion_id = g.occasion_id
JOIN occasion_terms t ON t.occasion_id = g.occasion_id AND t.effective_from = g.terms_from
LEFT JOIN benefit b ON b.benefit_id = t.benefit_id
ORDER BY w.wanted, g.given_at DESC, o.code
""",
    tuple(each.name for each in fields(OccasionGrant)),
)


async def occasion_terms(db: AsyncConnection) -> dict[int, list[OccasionTerms]]:
    """Return all versions of the terms of each occasion, by its id."""
    rows = await db.execute(
        text("""
          SELECT o.occasion_id, o.code, o.kind, o.calendar, t.effective_from, t.points,
            t.business_id, c.code AS campaign, b.code AS benefit, t.uses, t.valid_days,
            t.days_ahead, t.leap_day
          FROM occasion o JOIN occasion_terms t USING (occasion_id)
          LEFT JOIN voucher_campaign c USING (campaign_id)
          LEFT JOIN benefit b USING (benefit_id)
          ORDER BY o.occasion_id, t.effective_from""")
    )
    found: dict[int, list[OccasionTerms]] = {}
    for row in rows:
        facts = row._asdict()
        facts |= {"calendar": Calendar(row.calendar), "leap_day": LeapDay(row.leap_day)}
        found.setdefault(row.occasion_id, []).append(OccasionTerms(**facts))
    return found


async def occasion_grants(
    db: AsyncConnection, *, member_ids: Sequence[int]
) -> dict[int, list[OccasionGrant]]:
    """Return what members were given, the latest first, by member id."""
    found: dict[int, list[OccasionGrant]] = {member_id: [] for member_id in member_ids}
    for row in await db.execute(GRANTS.statement, {"member_ids": list(member_ids)}):
        found[row.member_id].append(OccasionGrant(**row._asdict()))
    return found
