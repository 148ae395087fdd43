"""History: which tiers a member has held, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTier:
    """A tier from `since` to before `until` (None: held now). `step` orders a member's.

    `undone`: a merge had led to it that was taken back.
    """

    member_id: int
    step: int
    ladder: str
    business_id: int | None
    tier: str
    since: datetime
    until: datetime | None
    valid_until: date | None
    reason: str
    award_id: int | None
    undone: bool


_SOURCES = {"ladder": "l.code", "business_id": "l.business_id", "tier": "t.code"}
_COLUMNS = ", ".join(
    f"{_SOURCES.get(each.name, f'h.{each.name}')} AS {each.name}" for each in fields(HeldTier)
)


STEPS = Keyset((Column("step", int, "h.step"),), descending=True)
"""The latest first."""


async def tier_history(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    stretch: Stretch,
    business: str | None = None,
) -> dict[int, list[HeldTier]]:
    """Return what each member has held, by STEPS; for a `business` no other's own ladder."""
    rows = await db.execute(
        text(f"""
          SELECT p.* FROM unnest(CAST(:member_ids AS bigint[])) AS m (id)
          CROSS JOIN LATERAL (SELECT {_COLUMNS}
            FROM member_tier h JOIN tier t USING (tier_id, ladder_id)
            JOIN ladder l USING (ladder_id) LEFT JOIN business b ON b.business_id = l.business_id
            WHERE h.member_id = m.id AND {STEPS.between(stretch)}
              AND (b.code IS NULL OR b.code = coalesce(:business, b.code))
            ORDER BY {STEPS.order(stretch)} LIMIT :limit) p"""),  # noqa: S608 - constants of ours
        {
            "member_ids": list(member_ids),
            "limit": stretch.limit,
            "business": business,
            **STEPS.facts(stretch),
        },
    )
    found: dict[int, list[HeldTier]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        found[row.member_id].append(HeldTier(**row._asdict()))
    return found
