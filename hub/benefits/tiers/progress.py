"""Progress: where members stand on every ladder, what is missing for more, and what keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.ladder import (
    ACTIVITY,
    AS_BEFORE,
    KINDS,
    LADDERS,
    PEOPLE,
    RUNGS,
    read_by_sets,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One thing that a tier asks for: `done` of `asked`, in the kind's unit."""

    kind: str
    asked: int
    done: int

    @property
    def missing(self) -> int:
        """How much is still to be done."""
        return max(0, self.asked - self.done)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What leads to a tier: any or all of `asks`, done from `starts_on` to `by`, inclusive."""

    code: str
    name: str
    name_zh: str
    need: str
    asks: tuple[Ask, ...]
    starts_on: date
    by: date

    @property
    def met(self) -> bool:
        """Whether it is done already."""
        done = [ask.missing == 0 for ask in self.asks]
        return not done or (any(done) if self.need == "any" else all(done))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A member's place on a ladder. `tier` None: none yet; `valid_until` None: for good.

    `next` None: it is the top; `keep` None: nothing need be done to keep the tier, or it was given.
    """

    member_id: int
    ladder: str
    ladder_name: str
    ladder_name_zh: str
    business_id: int | None
    currency: str | None
    tier: str | None
    name: str | None
    name_zh: str | None
    since: datetime | None
    reason: str | None
    valid_until: date | None
    next: Way | None
    keep: Way | None


_PLACES = text(f"""
WITH {LADDERS}, {RUNGS}, {PEOPLE}, held AS MATERIALIZED (
  SELECT * FROM member_tier
  WHERE member_id = ANY(CAST(:member_ids AS bigint[])) AND until IS NULL
), now_in AS (
  SELECT p.member_id, l.ladder_id, w.starts_on, w.ends_on, judged.starts_on AS judged_from,
    CASE WHEN h.award_id IS NULL THEN h.valid_until END AS judged_to
  FROM people p CROSS JOIN ladders l
  CROSS JOIN LATERAL tier_window(l."window", l.months, p.joined, CAST(:today AS date)) w
  LEFT JOIN held h USING (member_id, ladder_id)
  LEFT JOIN LATERAL tier_window(l."window", l.months, p.joined, h.held_to) judged
    ON h.award_id IS NULL AND h.held_to IS NOT NULL
), spans AS (
  SELECT member_id, ladder_id, starts_on, ends_on FROM now_in
  UNION SELECT member_id, ladder_id, judged_from, judged_to FROM now_in
    WHERE judged_to IS NOT NULL
), {ACTIVITY}
SELECT n.member_id, l.code AS ladder, l.name AS ladder_name, l.name_zh AS ladder_name_zh,
  l.business_id, l.currency, n.starts_on, n.ends_on, n.judged_from, n.judged_to, h.have,
  kept.have AS kept_have, has.code AS tier, has.name, has.name_zh, held.since, held.reason,
  held.valid_until, has.keep AS keep_asks, has.need AS keep_need, next.code AS next_code,
  next.name AS next_name, next.name_zh AS next_name_zh, next.need AS next_need,
  next.reach AS next_asks
FROM now_in n JOIN ladders l USING (ladder_id)
JOIN have h USING (member_id, ladder_id, starts_on, ends_on)
LEFT JOIN have kept ON kept.member_id = n.member_id AND kept.ladder_id = n.ladder_id
  AND kept.starts_on = n.judged_from AND kept.ends_on = n.judged_to
LEFT JOIN held ON held.member_id = n.member_id AND held.ladder_id = n.ladder_id
LEFT JOIN rungs has ON has.tier_id = held.tier_id
LEFT JOIN LATERAL (
  SELECT * FROM rungs r WHERE r.ladder_id = n.ladder_id AND (has.rank IS NULL OR r.rank > has.rank)
  ORDER BY r.rank LIMIT 1
) next ON true
WHERE (has.code IS NOT NULL OR next.code IS NOT NULL)
  AND (l.business_id IS NULL OR h.seen OR has.code IS NOT NULL) AND {AS_BEFORE}
ORDER BY n.member_id, n.ladder_id
""")  # noqa: S608 - constants of ours


async def places_of(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime, time_zone: str
) -> dict[int, list[Place]]:
    """Return the members' places, the group's ladder first, then those of businesses they know."""
    found: dict[int, list[Place]] = {member_id: [] for member_id in member_ids}
    rows = await read_by_sets(db, _PLACES, member_ids=member_ids, now=now, time_zone=time_zone)
    for row in rows:
        found[row.member_id].append(_place(row))
    return found


def _place(row: Row[Any]) -> Place:
    keep = _asks(row.keep_asks, row.kept_have) if row.judged_to is not None else ()
    return Place(
        member_id=row.member_id,
        ladder=row.ladder,
        ladder_name=row.ladder_name,
        ladder_name_zh=row.ladder_name_zh,
        business_id=row.business_id,
        currency=row.currency,
        tier=row.tier,
        name=row.name,
        name_zh=row.name_zh,
        since=row.since,
        reason=row.reason,
        valid_until=row.valid_until,
        next=None
        if row.next_code is None
        else Way(
            code=row.next_code,
            name=row.next_name,
            name_zh=row.next_name_zh,
            need=row.next_need,
            asks=_asks(row.next_asks, row.have),
            starts_on=row.starts_on,
            by=row.ends_on,
        ),
        keep=None
        if not keep
        else Way(
            code=row.tier,
            name=row.name,
            name_zh=row.name_zh,
            need=row.keep_need,
            asks=keep,
            starts_on=row.judged_from,
            by=row.judged_to,
        ),
    )


def _asks(asked: Sequence[int | None], have: Sequence[int]) -> tuple[Ask, ...]:
    return tuple(
        Ask(kind=kind, asked=ask, done=done)
        for kind, ask, done in zip(KINDS, asked, have, strict=True)
        if ask is not None
    )
