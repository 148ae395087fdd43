"""History: which tiers a member has held, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of


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
_OF_MEMBER = replace(STEPS, where="h.member_id = m.id")


class HistoryFilter(NamedTuple):
    """Which tiers: for a `business` of no other's own ladder; of a ladder, by its code; given by
    these reasons, then. `held_at`: at that moment.
    """

    business: str | None = None
    ladder: str | None = None
    tier: str | None = None
    reasons: tuple[str, ...] | None = None
    since_from: datetime | None = None
    since_before: datetime | None = None
    held_at: datetime | None = None
    undone: bool | None = None


_FILTERS = {
    "business": "(b.code IS NULL OR b.code = :business)",
    "ladder": "l.code = :ladder",
    "tier": "t.code = :tier",
    "reasons": "h.reason = ANY (CAST(:reasons AS text[]))",
    "since_from": "h.since >= :since_from",
    "since_before": "h.since < :since_before",
    "held_at": "h.since <= :held_at AND (h.until IS NULL OR h.until > :held_at)",
    "undone": "h.undone = :undone",
}


async def tier_history(
    db: AsyncConnection, *, member_ids: Sequence[int], stretch: Stretch, only: HistoryFilter
) -> dict[int, list[HeldTier]]:
    """Return what each member has held, by STEPS."""
    ending, facts = page_of(_OF_MEMBER, stretch, only=only._asdict(), filters=_FILTERS)
    rows = await db.execute(
        text(f"""
          SELECT p.* FROM unnest(CAST(:member_ids AS bigint[])) AS m (id)
          CROSS JOIN LATERAL (SELECT {_COLUMNS}
            FROM member_tier h JOIN tier t USING (tier_id, ladder_id)
            JOIN ladder l USING (ladder_id) LEFT JOIN business b ON b.business_id = l.business_id
            {ending}) p"""),  # noqa: S608 - constants of ours
        {"member_ids": list(member_ids), **facts},
    )
    found: dict[int, list[HeldTier]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        found[row.member_id].append(HeldTier(**row._asdict()))
    return found
