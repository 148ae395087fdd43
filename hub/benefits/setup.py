"""How the programme is set up at a moment: what processes remember instead of reading it each time.

Nothing is taken on trust: the database knows the set-up by an edition, which changes with it. What
is remembered under an edition holds for whoever sees that edition, and for no one else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import Pool

from hub.benefits.year import Year, year_of
from hub.clock import business_date
from hub.programme.queries import no_group

BUSINESS_COLUMNS = ("business_id", "code", "name", "kind", "currency", "country", "time_zone")
"""What rows of `Setup.businesses` hold."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier of a ladder; the higher its rank, the better."""

    tier_id: int
    ladder_id: int
    rank: int
    code: str
    name: str
    name_zh: str


@dataclass(frozen=True, slots=True)
class Benefit:
    """A benefit by its terms: who holds the tier of that rank, or a higher one of its ladder, is
    given `quota` uses for each `period`. None: no tier gives it.
    """

    benefit_id: int
    listed: int
    """Its place among all: by tier, lowest first, then what no tier gives; by code within each."""
    code: str
    kind: str
    name: str
    name_zh: str
    ladder_id: int | None
    rank: int | None
    quota: int
    period: str
    on_loss: str
    offered_at: list[int]

    def given_at(self, rank: int | None) -> bool:
        """Whether who holds the tier of this rank of its ladder is given it."""
        return rank is not None and self.rank is not None and self.rank <= rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """An edition of the set-up: in force from `since` to before `until`; None: for good."""

    edition: UUID
    since: datetime
    until: datetime | None
    time_zone: str | None
    """The group's (IANA); None: there is no group yet."""
    businesses: Mapping[int, tuple[Any, ...]]
    tiers: Mapping[int, Tier]
    benefits: Mapping[int, Benefit]
    given_on: Mapping[int, Sequence[Benefit]]
    """By ladder: what its tiers give."""

    def covers(self, now: datetime) -> bool:
        """Whether this is how it is at `now`, as far as this edition knows."""
        return self.since <= now and (self.until is None or now < self.until)

    def today(self, now: datetime) -> date:
        """Return the group's day; raises NotFound where there is no group yet."""
        if self.time_zone is None:
            raise no_group()
        return business_date(now, self.time_zone)

    def number(self, code: str | None) -> int | None:
        """Return the number of the business called `code`; None: there is none."""
        return next((one[0] for one in self.businesses.values() if one[1] == code), None)

    def year(self, now: datetime) -> Year:
        """Return the group's year; raises NotFound where there is no group yet."""
        if self.time_zone is None:
            raise no_group()
        return year_of(now, self.time_zone)


# Of arrays within rows the driver reads those of text alone.
_READ = text(f"""
SELECT edition, (SELECT time_zone FROM programme) AS time_zone,
  (SELECT max(effective_from) FROM (SELECT effective_from FROM tier_terms
    UNION ALL SELECT effective_from FROM benefit_terms) t WHERE effective_from <= :now) AS since,
  (SELECT min(effective_from) FROM (SELECT effective_from FROM tier_terms
    UNION ALL SELECT effective_from FROM benefit_terms) t WHERE effective_from > :now) AS until,
  ARRAY(SELECT ROW({", ".join(BUSINESS_COLUMNS)}) FROM business) AS businesses,
  ARRAY(SELECT ROW(t.tier_id, t.ladder_id, t.rank, t.code, v.name, v.name_zh)
    FROM tier t CROSS JOIN LATERAL (SELECT name, name_zh FROM tier_terms v
      WHERE v.tier_id = t.tier_id AND v.effective_from <= :now
      ORDER BY v.effective_from DESC LIMIT 1) v) AS tiers,
  ARRAY(SELECT ROW(b.benefit_id, row_number() OVER (ORDER BY t.rank NULLS LAST, b.code), b.code,
      b.kind, v.name, v.name_zh, t.ladder_id, t.rank, v.quota, v.period, v.on_loss,
      CAST(v.offered_at AS text[]))
    FROM benefit b CROSS JOIN LATERAL (SELECT * FROM benefit_terms v
      WHERE v.benefit_id = b.benefit_id AND v.effective_from <= :now
      ORDER BY v.effective_from DESC LIMIT 1) v
    LEFT JOIN tier t USING (tier_id)) AS benefits
FROM setup_edition
""")  # noqa: S608 - names of ours

_REMEMBERED: WeakKeyDictionary[Pool, Setup] = WeakKeyDictionary()


def remembered_setup(engine: AsyncEngine, now: datetime) -> Setup | None:
    """Return the set-up at `now` as it was when it was last read through an engine, if it was.

    Whoever builds on it compares its edition with that of what it reads.
    """
    setup = _REMEMBERED.get(engine.sync_engine.pool)
    return setup if setup is not None and setup.covers(now) else None


def forget_setup(engine: AsyncEngine, edition: UUID) -> None:
    """Have the set-up be read anew where this edition is what is remembered.

    Somebody else may have read a later one since.
    """
    setup = _REMEMBERED.get(engine.sync_engine.pool)
    if setup is not None and setup.edition == edition:
        del _REMEMBERED[engine.sync_engine.pool]


async def read_setup(db: AsyncConnection, *, now: datetime) -> Setup:
    """Read how the programme is set up at `now`, and remember it."""
    row = (await db.execute(_READ, {"now": now})).one()
    tiers = [Tier(*one) for one in row.tiers]
    benefits = [Benefit(*(*one[:-1], list(map(int, one[-1])))) for one in row.benefits]
    given_on: dict[int, list[Benefit]] = {}
    for one in benefits:
        if one.ladder_id is not None and one.quota > 0:
            given_on.setdefault(one.ladder_id, []).append(one)
    setup = Setup(
        edition=row.edition,
        since=row.since or datetime.min.replace(tzinfo=UTC),
        until=row.until,
        time_zone=row.time_zone,
        businesses={one[0]: tuple(one) for one in row.businesses},
        tiers={one.tier_id: one for one in tiers},
        benefits={one.benefit_id: one for one in benefits},
        given_on=given_on,
    )
    _REMEMBERED[db.engine.sync_engine.pool] = setup
    return setup
