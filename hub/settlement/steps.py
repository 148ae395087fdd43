"""The steps of a close: planned when it begins, done one by one, each with a commit of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.programme.queries import businesses
from hub.settlement.queries import Period

SLICE_LINES = 200_000
"""About how many lines a step may write: days are put together until they come to that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a close.

    `lines` writes those of the days from `from_date` (None: of all before) to `to_date`, about
    `expected`; `terms` those of what agreements say of the whole period; `totals` sums and nets
    them; `statement` states them to a business; `draft` ends the close. `lines` is how many were
    written, None until the step is done.
    """

    period_id: int
    number: int
    kind: str
    from_date: date | None
    to_date: date | None
    business_id: int | None
    expected: int
    lines: int | None
    planned_at: datetime
    done_at: datetime | None


async def plan(db: AsyncConnection, *, period: Period, now: datetime) -> None:
    """Write the steps that the close of a period takes."""
    made: list[dict[str, object]] = [
        {"kind": "lines", "from_date": from_date, "to_date": to_date, "expected": expected}
        for from_date, to_date, expected in await _slices(db, period)
    ]
    # Always: an agreement may be applied while the period is closing.
    made.append({"kind": "terms"})
    made.append({"kind": "totals"})
    made += [
        {"kind": "statement", "business_id": business.business_id}
        for business in await businesses(db)
    ]
    made.append({"kind": "draft"})
    nothing = {"from_date": None, "to_date": None, "business_id": None, "expected": 0}
    await db.execute(
        text("""
          INSERT INTO settlement_step (period_id, number, kind, from_date, to_date, business_id,
            expected, planned_at)
          VALUES (:period_id, :number, :kind, :from_date, :to_date, :business_id, :expected, :now)
          """),
        [
            {**nothing, **one, "number": number, "period_id": period.period_id, "now": now}
            for number, one in enumerate(made, start=1)
        ],
    )


async def steps(db: AsyncConnection, *, period_ids: Sequence[int]) -> dict[int, list[Step]]:
    """Return the steps of each period's close, in their order; none before it has begun."""
    rows = await db.execute(
        text("""
          SELECT period_id, number, kind, from_date, to_date, business_id, expected, lines,
            planned_at, done_at
          FROM settlement_step WHERE period_id = ANY (CAST(:ids AS integer[]))
          ORDER BY period_id, number"""),
        {"ids": list(period_ids)},
    )
    found: dict[int, list[Step]] = {period_id: [] for period_id in period_ids}
    for row in rows:
        found[row.period_id].append(Step(**row._asdict()))
    return found


async def note_done(db: AsyncConnection, step: Step, *, lines: int, now: datetime) -> None:
    """Keep that a step is done, in the transaction that did it."""
    await db.execute(
        text("""
          UPDATE settlement_step SET lines = :lines, done_at = :now
          WHERE period_id = :period_id AND number = :number"""),
        {"period_id": step.period_id, "number": step.number, "lines": lines, "now": now},
    )


async def _slices(db: AsyncConnection, period: Period) -> list[tuple[date | None, date, int]]:
    """Return spans of days that follow each other, with about how many lines each has.

    The first is of everything before the period, which is late. What a day has is read from the
    daily sums: they may lag behind, but nothing but the size of a step depends on them.
    """
    rows = await db.execute(
        text("""
          SELECT business_date, sum(entries)::bigint AS entries FROM entry_daily
          WHERE business_date BETWEEN :starts_on AND :ends_on AND unit <> 2
            AND (20 IN (debit, credit) OR issuer_id IN (SELECT issuer_id FROM point_sale))
          GROUP BY business_date"""),
        {"starts_on": period.starts_on, "ends_on": period.ends_on},
    )
    entries = {row.business_date: row.entries for row in rows}
    day = timedelta(days=1)
    spans: list[tuple[date | None, date, int]] = [(None, period.starts_on - day, 0)]
    first, today, expected = period.starts_on, period.starts_on, 0
    while today <= period.ends_on:
        if today > first and expected + entries.get(today, 0) > SLICE_LINES:
            spans.append((first, today - day, expected))
            first, expected = today, 0
        expected += entries.get(today, 0)
        today += day
    return [*spans, (first, period.ends_on, expected)]
