"""What members may use of their benefits: what was granted, and what tiers have yet to grant.

What a tier gives for a period is granted when it is first used (`hub.benefits.grant`). Until then
it is counted as if it were, so that a card, a quote and a use see the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Final

from hub.benefits.period import SINCE_JOINED, period_of
from hub.benefits.reckoned import Reckoned
from hub.benefits.setup import Setup, Tier
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
_Quota = tuple[set[str], list[int]]
"""Who grants it, and what all that they grant comes to."""
_Row = Sequence[Any]


def _reckon(
    setup: Setup,
    today: date,
    quotas: Sequence[_Row],
    places: Sequence[_Row],
    joined: Sequence[tuple[int, datetime]],
) -> list[tuple[Any, ...]]:
    tiers = [
        (member_id, setup.tiers[tier_id])
        for member_id, tier_id, _ in places
        if tier_id in setup.tiers
    ]
    ranks: dict[tuple[int, int | None], int] = {
        (member_id, tier.ladder_id): tier.rank for member_id, tier in tiers
    }
    found: dict[_Key, _Quota] = {}
    given: dict[_Key, int] = {}
    for member_id, benefit_id, starts_on, ends_on, source, *counts in quotas:
        terms = setup.benefits.get(benefit_id)
        if terms is None:
            continue
        key = member_id, benefit_id, starts_on, ends_on
        if source == "tier":
            given[key] = given.get(key, 0) + counts[0]
            # What a tier granted can be used while that is held, unless the terms keep it.
            rank = ranks.get((member_id, terms.ladder_id))
            if terms.on_loss != "keep_period" and not terms.given_at(rank):
                continue
        _add(found, key, source, counts)
    for key, quota in _owed(setup, today, tiers, joined):
        missing = quota - given.get(key, 0)
        if missing > 0:
            _add(found, key, "tier", [missing, 0, 0, 0, missing])
    return _rows(setup, found)


def _owed(
    setup: Setup,
    today: date,
    tiers: Sequence[tuple[int, Tier]],
    joined: Sequence[tuple[int, datetime]],
) -> Iterator[tuple[_Key, int]]:
    """Tell what tiers give in the periods of today."""
    since = dict(joined)
    for member_id, tier in tiers:
        for terms in setup.given_on.get(tier.ladder_id, ()):
            if terms.given_at(tier.rank):
                at = since[member_id] if terms.period in SINCE_JOINED else None
                days = period_of(
                    terms.period, today, joined=None if at is None else setup.today(at)
                )
                yield (member_id, terms.benefit_id, *days), terms.quota


def _add(found: dict[_Key, _Quota], key: _Key, source: str, counts: list[int]) -> None:
    if key in found:
        sources, sums = found[key]
        found[key] = (
            {*sources, source},
            [one + other for one, other in zip(sums, counts, strict=True)],
        )
    else:
        found[key] = {source}, counts


def _rows(setup: Setup, found: Mapping[_Key, _Quota]) -> list[tuple[Any, ...]]:
    rows = []
    for (member_id, benefit_id, starts_on, ends_on), (sources, counts) in found.items():
        terms = setup.benefits[benefit_id]
        place = terms.listed, ends_on, starts_on
        says = terms.code, terms.kind, terms.name, terms.name_zh
        how = sorted(sources), terms.offered_at
        rows.append((place, (member_id, *says, starts_on, ends_on, *counts, *how)))
    rows.sort(key=itemgetter(0))
    return [row for _, row in rows]


ENTITLEMENTS: Final = Reckoned(
    of=(QUOTAS, PLACES, _JOINED),
    columns=("member_id", "benefit_code", "kind", "name", "name_zh", "starts_on", "ends_on",
             *_COUNTS, "remaining", "sources", "offered_at"),
    reckon=_reckon,
)  # fmt: skip
