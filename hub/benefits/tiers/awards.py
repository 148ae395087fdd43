"""Awards: tiers given by hand, or matched with a partner's status."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class TierAward:
    """A tier given until `valid_until`, the last day, whatever else the member has reached.

    `kind` is granted or matched; what was matched says which `partner`'s status on which
    `evidence`. A trial lasts until `trial_until`, unless its `challenge` (in the order of KINDS) is
    met by then.
    """

    award_id: int
    member_id: int
    tier: str
    kind: str
    reason: str
    partner: str | None
    evidence: str | None
    starts_on: date
    trial_until: date | None
    challenge: Sequence[int | None] | None
    valid_until: date
    given_by: str
    given_at: datetime
    revoked_by: str | None
    revoked_at: datetime | None
    revoked_because: str | None


_COLUMNS = ", ".join(
    "t.code AS tier" if each.name == "tier" else f"a.{each.name}" for each in fields(TierAward)
)
_READ = f"SELECT {_COLUMNS} FROM tier_award a JOIN tier t USING (tier_id)"  # noqa: S608


async def award_by_key(db: AsyncConnection, *, idempotency_key: str) -> TierAward | None:
    """Return the award that was given under a key."""
    row = await db.execute(text(f"{_READ} WHERE idempotency_key = :k"), {"k": idempotency_key})
    found = row.first()
    return None if found is None else TierAward(**found._asdict())


async def award_by_id(
    db: AsyncConnection, *, award_id: int, lock: bool = False
) -> TierAward | None:
    """Return an award; `lock` keeps others from changing it."""
    how = " FOR UPDATE OF a" if lock else ""
    row = await db.execute(text(f"{_READ} WHERE award_id = :id{how}"), {"id": award_id})
    found = row.first()
    return None if found is None else TierAward(**found._asdict())


async def awards_of(
    db: AsyncConnection, *, member_ids: Sequence[int], limit: int
) -> dict[int, list[TierAward]]:
    """Return the latest awards of the members, and of who was merged into them, newest first."""
    found: dict[int, list[TierAward]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(
        text(f"""
          SELECT who.now_id, a.* FROM (
            SELECT member_id AS born, coalesce(merged_into, member_id) AS now_id FROM member
            WHERE member_id = ANY (CAST(:ids AS bigint[]))
              OR merged_into = ANY (CAST(:ids AS bigint[]))) who
          CROSS JOIN LATERAL ({_READ} WHERE a.member_id = who.born
            ORDER BY a.award_id DESC LIMIT :limit) a
          WHERE who.now_id = ANY (CAST(:ids AS bigint[]))
          ORDER BY who.now_id, a.award_id DESC"""),  # noqa: S608 - a constant of ours
        {"ids": list(member_ids), "limit": limit},
    )
    for row in rows:
        facts = row._asdict()
        of = found[facts.pop("now_id")]
        if len(of) < limit:
            of.append(TierAward(**facts))
    return found
