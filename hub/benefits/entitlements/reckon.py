"""What members may use of their benefits: what was granted, and what tiers have yet to grant.

What a tier gives for a period is granted when it is first used (`hub.benefits.grant`). Until then
it is counted as if it were, so that a card, a quote and a use see the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Final

from hub.benefits.in_force import InForce, Reckoned, Tier
from hub.benefits.period import period_of
from hub.benefits.tiers.places import PLACES
from hub.db.relation import Relation

_COUNTS = ("granted", "held", "used", "ended")
QUOTAS: Final = Relation(
    """
SELECT e.member_id, e.benefit_id, e.starts_on, e.ends_on, e.source,
  e.granted, e.held, e.used, e.ended, e.free
FROM entitlement e
WHERE e.member_id = ANY(CAST(:member_ids AS bigint[]))
  AND :today BETWEEN e.starts_on AND e.ends_on AND e.granted > 0
""",
    ("member_id", "benefit_id", "starts_on", "ends_on", "source", *_COUNTS, "free"),
)
_JOINED = Relation(
    "SELECT member_id, created_at FROM member WHERE member_id = ANY(CAST(:member_ids AS bigint[]))",
    ("member_id", "created_at"),
)
_Key = tuple[int, int, date, date]
"""A member, a benefit, and the first and the last day of a period."""
_Row = Sequence[Any]


class _Quota:
    """What all that grant a benefit for a period come to."""

    __slots__ = ("counts", "sources")

    def __init__(self) -> None:
        self.counts: Sequence[int] = (0, 0, 0, 0, 0)
        self.sources: set[str] = set()

    def add(self, source: str, counts: Sequence[int]) -> None:
        mine = zip(self.counts, counts, strict=True)
        self.counts = [one + other for one, other in mine] if self.sources else counts
        self.sources.add(source)


def _reckon(
    known: InForce,
    now: datetime,
    quotas: Sequence[_Row],
    places: Sequence[_Row],
    joined: Sequence[tuple[int, datetime]],
) -> list[tuple[Any, ...]]:
    tiers = [
        (member_id, known.tiers[tier_id])
        for member_id, tier_id, _ in places
        if tier_id in known.tiers
    ]
    ranks: dict[tuple[int, int | None], int] = {
        (member_id, tier.ladder_id): tier.rank for member_id, tier in tiers
    }
    found: dict[_Key, _Quota] = {}
    given: dict[_Key, int] = {}
    for member_id, benefit_id, starts_on, ends_on, source, *counts in quotas:
        terms = known.benefits.get(benefit_id)
        if terms is None:
            continue
        key = member_id, benefit_id, starts_on, ends_on
        if source == "tier":
            given[key] = given.get(key, 0) + counts[0]
            # What a tier granted can be used while that is held, unless the terms keep it.
            if terms.on_loss != "keep_period" and not terms.given_at(
                ranks.get((member_id, terms.ladder_id))
            ):
                continue
        found.setdefault(key, _Quota()).add(source, counts)
    for key, quota in _owed(known, now, tiers, dict(joined)):
        missing = quota - given.get(key, 0)
        if missing > 0:
            found.setdefault(key, _Quota()).add("tier", (missing, 0, 0, 0, missing))
    return _rows(known, found)


def _owed(
    known: InForce,
    now: datetime,
    tiers: Sequence[tuple[int, Tier]],
    joined: Mapping[int, datetime],
) -> Iterator[tuple[_Key, int]]:
    """Tell what tiers give in the periods of today."""
    today = known.today(now)
    for member_id, tier in tiers:
        joined_on = known.today(joined[member_id])
        for terms in known.given_on.get(tier.ladder_id, ()):
            if terms.given_at(tier.rank):
                days = period_of(terms.period, today, joined=joined_on)
                yield (member_id, terms.benefit_id, *days), terms.quota


def _rows(known: InForce, found: Mapping[_Key, _Quota]) -> list[tuple[Any, ...]]:
    rows = []
    for (member_id, benefit_id, starts_on, ends_on), quota in found.items():
        terms = known.benefits[benefit_id]
        place = terms.listed, ends_on, starts_on
        says = terms.code, terms.kind, terms.name, terms.name_zh
        how = sorted(quota.sources), terms.offered_at
        rows.append((place, (member_id, *says, starts_on, ends_on, *quota.counts, *how)))
    rows.sort(key=itemgetter(0))
    return [row for _, row in rows]


ENTITLEMENTS: Final = Reckoned(
    of=(QUOTAS, PLACES, _JOINED),
    columns=("member_id", "benefit_code", "kind", "name", "name_zh", "starts_on", "ends_on",
             *_COUNTS, "remaining", "sources", "offered_at"),
    reckon=_reckon,
)  # fmt: skip
