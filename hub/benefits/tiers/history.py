"""History: which tiers a member has held, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


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


async def tier_history(
    db: AsyncConnection,
    *,
    member_id: int,
    limit: int,
    before_step: int | None = None,
    business: str | None = None,
) -> Sequence[HeldTier]:
    """Return what the member has held, latest first; for a `business` no other's own ladder."""
    rows = await db.execute(
        text(f"""
          SELECT {_COLUMNS}
          FROM member_tier h JOIN tier t USING (tier_id, ladder_id) JOIN ladder l USING (ladder_id)
          LEFT JOIN business b ON b.business_id = l.business_id
          WHERE h.member_id = :member_id AND h.step < coalesce(:before_step, 2147483647)
            AND (b.code IS NULL OR b.code = coalesce(:business, b.code))
          ORDER BY h.step DESC LIMIT :limit"""),  # noqa: S608 - constants of ours
        {"member_id": member_id, "before_step": before_step, "limit": limit, "business": business},
    )
    return [HeldTier(**row._asdict()) for row in rows]
