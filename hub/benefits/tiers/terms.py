"""Reads of ladders: every version of what they and their tiers ask for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Asks = Sequence[int | None]
"""How much of each of hub.benefits.tiers.ladder.KINDS; None: nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderTerms:
    """A version of a ladder. `months` is how long its window is; `currency` that of its spend."""

    effective_from: datetime
    window: str
    months: int
    grace_days: int
    step_down: str
    currency: str | None
    name: str
    name_zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TierTerms:
    """A version of a tier: what gives it, keeps it and gives it for life; `rank` rises."""

    code: str
    rank: int
    effective_from: datetime
    name: str
    name_zh: str
    need: str
    reach: Asks
    keep: Asks
    life: Asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A ladder, its versions and those of its tiers. `business_id`: where alone activity counts."""

    code: str
    business_id: int | None
    versions: list[LadderTerms] = field(default_factory=list)
    tiers: list[TierTerms] = field(default_factory=list)


async def ladders(db: AsyncConnection) -> list[Ladder]:
    """Return all ladders, the group's first, with their tiers by rank; few rows, so all of them.

    Versions are in order, the newest first.
    """
    found: dict[int, Ladder] = {}
    for row in await db.execute(
        text("""
          SELECT l.ladder_id, l.code, l.business_id, t.effective_from, t."window", t.months,
            t.grace_days, t.step_down, t.currency, t.name, t.name_zh
          FROM ladder l JOIN ladder_terms t USING (ladder_id)
          ORDER BY l.business_id NULLS FIRST, l.ladder_id, t.effective_from DESC""")
    ):
        facts = row._asdict()
        ladder_id, code, business_id = (
            facts.pop(name) for name in ("ladder_id", "code", "business_id")
        )
        of = found.setdefault(ladder_id, Ladder(code=code, business_id=business_id))
        of.versions.append(LadderTerms(**facts))
    for row in await db.execute(
        text("""
          SELECT t.ladder_id, t.code, t.rank, v.effective_from, v.name, v.name_zh, v.need, v.reach,
            coalesce(v.keep, v.reach) AS keep,
            coalesce(v.life, array_fill(NULL::bigint, ARRAY[5])) AS life
          FROM tier t JOIN tier_terms v USING (tier_id)
          ORDER BY t.ladder_id, t.rank, v.effective_from DESC""")
    ):
        facts = row._asdict()
        found[facts.pop("ladder_id")].tiers.append(TierTerms(**facts))
    return list(found.values())
