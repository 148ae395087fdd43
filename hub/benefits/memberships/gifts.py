"""What paid periods are due beside benefits and a tier, and what each was given of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One gift of a period: points, of which `taken_points` were taken back, or a voucher."""

    number: int
    points: int | None
    taken_points: int
    tx_id: int | None
    voucher_id: int | None
    campaign: str | None
    taken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A paid period with what its plan gives, and what it was given.

    `back_minor` of `value_minor` is due back to the member, or was given back.
    """

    fact_id: int
    member_id: int
    starts_on: date
    ends_on: date
    full_ends_on: date
    value_minor: int
    back_minor: int
    points: int | None
    issuer_id: int | None
    vouchers: Sequence[dict[str, Any]]
    given: list[Given] = field(default_factory=list)

    @property
    def void(self) -> bool:
        """Say whether it was ended before it began."""
        return self.ends_on < self.starts_on

    @property
    def points_due(self) -> int:
        """How many points the period is worth: in proportion to the money that was kept.

        What is taken back is rounded down.
        """
        if self.points is None or self.void:
            return 0
        if self.back_minor == 0:
            return self.points
        return self.points - self.points * self.back_minor // self.value_minor

    @property
    def keeps_vouchers(self) -> bool:
        """Say whether its vouchers stay: they go when it is cut short for money back."""
        cut = self.ends_on < self.full_ends_on
        return not (
            self.void or (self.back_minor > 0 and cut) or 0 < self.value_minor <= self.back_minor
        )

    @property
    def points_had(self) -> int:
        """How many points it has been given and not been asked back."""
        return sum((one.points or 0) - one.taken_points for one in self.given)


_DUE = text("""
SELECT t.fact_id, t.member_id, t.starts_on, t.ends_on, t.full_ends_on, t.value_minor,
  greatest(t.refund_minor, t.refunded_minor) AS back_minor, v.points, v.issuer_id, v.vouchers
FROM membership_term t JOIN membership_fact f USING (fact_id)
JOIN LATERAL (SELECT * FROM membership_plan_terms p
  WHERE p.plan_id = t.plan_id AND p.effective_from <= f.occurred_at
  ORDER BY p.effective_from DESC LIMIT 1) v ON true
JOIN member m ON m.member_id = t.member_id AND m.erased_at IS NULL
WHERE t.member_id = ANY (CAST(:ids AS bigint[])) AND t.gives_on <= :today AND NOT t.trial
ORDER BY t.member_id, t.starts_on, t.fact_id
""")
_GIVEN = text("""
SELECT g.fact_id, g.number, g.points, g.taken_points, g.tx_id, g.voucher_id, c.code AS campaign,
  g.taken_at IS NOT NULL AS taken
FROM membership_gift g LEFT JOIN voucher v USING (voucher_id) LEFT JOIN voucher_terms t
  USING (terms_id) LEFT JOIN voucher_campaign c USING (campaign_id)
WHERE g.fact_id = ANY (CAST(:ids AS bigint[])) ORDER BY g.fact_id, g.number
""")


async def members_due(db: AsyncConnection, *, today: date, after: int, limit: int) -> list[int]:
    """Return the next members, by number, with periods that are to be looked at."""
    found = await db.scalars(
        text("""
          SELECT DISTINCT member_id FROM membership_term
          WHERE gives_on <= :today AND member_id > :after ORDER BY member_id LIMIT :limit"""),
        {"today": today, "after": after, "limit": limit},
    )
    return list(found)


async def periods_due(
    db: AsyncConnection, *, member_ids: Sequence[int], today: date
) -> list[Period]:
    """Return the members' periods that are to be looked at; the caller holds their locks."""
    rows = await db.execute(_DUE, {"ids": list(member_ids), "today": today})
    periods = [Period(**row._asdict()) for row in rows]
    given = await gifts_of(db, fact_ids=[one.fact_id for one in periods])
    for one in periods:
        one.given.extend(given[one.fact_id])
    return periods


async def gifts_of(db: AsyncConnection, *, fact_ids: Sequence[int]) -> dict[int, list[Given]]:
    """Return what each period was given, in its order."""
    found: dict[int, list[Given]] = {fact_id: [] for fact_id in fact_ids}
    for row in await db.execute(_GIVEN, {"ids": list(fact_ids)}):
        facts = dict(row._asdict())
        found[facts.pop("fact_id")].append(Given(**facts))
    return found
