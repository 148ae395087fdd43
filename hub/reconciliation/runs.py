"""Runs: a book laid beside the hub's rows of some days, step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of
from hub.errors import NotFound
from hub.reconciliation.codes import LEGS, Leg, Role

REACH = timedelta(days=31)
"""How far beyond a run's days rows are looked for that may belong to one within them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run over business dates, both inclusive; `found` says how many each step found."""

    run_id: int
    book_id: int
    business_id: int
    role: Role
    from_date: date
    to_date: date
    amount_tolerance_minor: int
    points_tolerance: int
    window_days: int
    day_totals: bool
    steps_done: int
    asked_by: str
    asked_at: datetime
    finished_at: datetime | None
    found: Mapping[str, int]

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that are matched."""
        return LEGS[self.role]


_RUN = """
SELECT run_id, book_id, business_id, role, from_date, to_date, amount_tolerance_minor,
  points_tolerance, window_days, day_totals, steps_done, asked_by, asked_at, finished_at, found
FROM reconciliation_run JOIN reconciliation_book USING (book_id)"""


async def run_by_id(db: AsyncConnection, run_id: int) -> Run:
    """Return a run; raises NotFound."""
    row = (await db.execute(text(f"{_RUN} WHERE run_id = :id"), {"id": run_id})).first()
    if row is None:
        raise NotFound(f"there is no reconciliation {run_id}", run=run_id)
    return Run(**{**row._asdict(), "role": Role(row.role)})


RUNS = Keyset((Column("run_id", int),), descending=True)
"""The newest first."""
BY_ASKING = Keyset((Column("asked_at", datetime), Column("run_id", int)))
BY_DAYS = Keyset((Column("from_date", date), Column("run_id", int)))


class RunFilter(NamedTuple):
    """Which runs: over any day from `from_day` until `until_day`, finished or not, asked when."""

    role: str | None = None
    finished: bool | None = None
    from_day: date | None = None
    until_day: date | None = None
    asked_from: datetime | None = None
    asked_before: datetime | None = None


_FILTERS = {
    "business_ids": "business_id = ANY (CAST(:business_ids AS smallint[]))",
    "role": "role = :role",
    "finished": "(finished_at IS NOT NULL) = :finished",
    "from_day": "to_date >= :from_day",
    "until_day": "from_date <= :until_day",
    "asked_from": "asked_at >= :asked_from",
    "asked_before": "asked_at < :asked_before",
}


async def runs(
    db: AsyncConnection,
    *,
    business_ids: Sequence[int],
    only: RunFilter | None = None,
    order: Keyset = RUNS,
    stretch: Stretch,
) -> list[Run]:
    """Return runs over these businesses' books, by RUNS unless asked otherwise."""
    said = {"business_ids": list(business_ids), **(only or RunFilter())._asdict()}
    ending, facts = page_of(order, stretch, only=said, filters=_FILTERS)
    rows = await db.execute(text(f"{_RUN} {ending}"), facts)
    return [Run(**{**row._asdict(), "role": Role(row.role)}) for row in rows]
