"""How many of the points issued are expected to be redeemed: dated, proposed, then approved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A version of an estimate: `rate` is a fraction of the points issued, within `low` and `high`.

    `cohort` None is for every cohort without one of its own. It is in force from `effective_from`
    on once it is approved.
    """

    estimate_id: int
    issuer_id: int
    unit: int
    cohort: date | None
    effective_from: date
    rate: Decimal
    low: Decimal | None
    high: Decimal | None
    method: str
    reason: str
    state: str
    maker: str
    proposed_at: datetime
    checker: str | None
    decided_at: datetime | None
    verdict: str | None


COLUMNS = """estimate_id, issuer_id, unit, cohort, effective_from, rate, low, high, method, reason,
  state, maker, proposed_at, checker, decided_at, verdict"""


def estimate_of(row: Row[Any]) -> Estimate:
    """Return the estimate that a row of COLUMNS holds."""
    return Estimate(**row._asdict())


async def estimates(
    db: AsyncConnection, *, issuer_ids: Sequence[int] | None = None, state: str | None = None
) -> list[Estimate]:
    """Return estimates, by issuer, cohort and date; those of all issuers without `issuer_ids`."""
    rows = await db.execute(
        text(f"""
          SELECT {COLUMNS} FROM redemption_estimate
          WHERE (CAST(:state AS text) IS NULL OR state = :state)
            AND (CAST(:ids AS smallint[]) IS NULL OR issuer_id = ANY (CAST(:ids AS smallint[])))
          ORDER BY issuer_id, unit, cohort NULLS FIRST, effective_from, estimate_id"""),  # noqa: S608
        {"state": state, "ids": None if issuer_ids is None else list(issuer_ids)},
    )
    return [estimate_of(row) for row in rows]


async def lock_estimate(db: AsyncConnection, estimate_id: int) -> Estimate:
    """Return an estimate that nobody decides before this transaction ends; raises NotFound."""
    found = await db.execute(
        text(f"SELECT {COLUMNS} FROM redemption_estimate WHERE estimate_id = :id FOR UPDATE"),  # noqa: S608
        {"id": estimate_id},
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"there is no estimate {estimate_id}", field="estimate")
    return estimate_of(row)


async def decide(
    db: AsyncConnection,
    *,
    estimate_id: int,
    state: str,
    checker: str,
    verdict: str | None,
    now: datetime,
) -> Estimate:
    """Keep what was decided of a locked estimate."""
    row = await db.execute(
        text(f"""
          UPDATE redemption_estimate
          SET state = :state, checker = :checker, verdict = :verdict, decided_at = :now
          WHERE estimate_id = :id RETURNING {COLUMNS}"""),  # noqa: S608
        {"id": estimate_id, "state": state, "checker": checker, "verdict": verdict, "now": now},
    )
    return estimate_of(row.one())


def rate_in_force(
    approved: Sequence[Estimate], *, issuer_id: int, unit: int, cohort: date, on: date
) -> Decimal | None:
    """Return the rate for a cohort on a day: its own, else that of all cohorts, else None.

    Of each, it is the latest that is in force on that day.
    """
    begun = [
        one
        for one in approved
        if (one.issuer_id, one.unit) == (issuer_id, unit)
        and one.effective_from <= on
        and one.cohort in (None, cohort)
    ]
    if not begun:
        return None
    return max(begun, key=lambda one: (one.cohort is not None, one.effective_from)).rate
