"""Reads for whoever corrects points: adjustments, and what members owe in money."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of
from hub.points.adjustments import COLUMNS, Adjustment, adjustment_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivable:
    """Points that a clawback could not take and that the member owes `issuer_id` in money."""

    member_id: int
    clawback_tx: int
    issuer_id: int
    points: int
    remaining: int


async def receivables_of(
    db: AsyncConnection, *, member_ids: Sequence[int]
) -> dict[int, list[Receivable]]:
    """Return each member's open receivables, oldest first."""
    rows = await db.execute(
        text("""
          SELECT member_id, tx_id AS clawback_tx, issuer_id, points, points - settled AS remaining
          FROM shortfall
          WHERE member_id = ANY(CAST(:member_ids AS bigint[])) AND mode = 2 AND open
          ORDER BY member_id, tx_id"""),
        {"member_ids": list(member_ids)},
    )
    found: dict[int, list[Receivable]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        found[row.member_id].append(Receivable(**row._asdict()))
    return found


async def adjustments_of(
    db: AsyncConnection, *, member_ids: Sequence[int], limit: int
) -> dict[int, list[Adjustment]]:
    """Return up to `limit` adjustments of each member, newest first."""
    rows = await db.execute(
        text(f"""
          SELECT a.* FROM unnest(CAST(:member_ids AS bigint[])) AS m (member_id)
          CROSS JOIN LATERAL (SELECT {COLUMNS} FROM adjustment
            WHERE adjustment.member_id = m.member_id
            ORDER BY adjustment_id DESC LIMIT :limit) a"""),  # noqa: S608 - a constant of ours
        {"member_ids": list(member_ids), "limit": limit},
    )
    found: dict[int, list[Adjustment]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        found[row.member_id].append(adjustment_of(row))
    return found


async def adjustments_by_key(
    db: AsyncConnection, *, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Adjustment]:
    """Return adjustments by `(member_id, adjustment_id)`; what does not exist is left out."""
    rows = await db.execute(
        text(f"""
          SELECT {COLUMNS} FROM adjustment JOIN unnest(CAST(:members AS bigint[]),
            CAST(:adjustments AS bigint[])) AS k (member_id, adjustment_id)
            USING (member_id, adjustment_id)"""),  # noqa: S608 - a constant of ours
        {"members": [key[0] for key in keys], "adjustments": [key[1] for key in keys]},
    )
    return {(row.member_id, row.adjustment_id): adjustment_of(row) for row in rows}


ADJUSTMENTS = Keyset((Column("adjustment_id", int),), where="state = 'proposed'")
"""The oldest first."""
BY_PROPOSING = Keyset(
    (Column("proposed_at", datetime), *ADJUSTMENTS.columns), where=ADJUSTMENTS.where
)
BY_SIZE = Keyset(
    (Column("size", int, "abs(points)"), *ADJUSTMENTS.columns), where=ADJUSTMENTS.where
)
"""By how many points, more or fewer."""


class ProposalFilter(NamedTuple):
    """Which proposals: at which business, by whom, when; `least_points`: so many or more."""

    business_id: int | None = None
    maker: str | None = None
    least_points: int | None = None
    proposed_from: datetime | None = None
    proposed_before: datetime | None = None


_FILTERS = {
    "business_id": "business_id = :business_id",
    "maker": "maker = :maker",
    "least_points": "abs(points) >= :least_points",
    "proposed_from": "proposed_at >= :proposed_from",
    "proposed_before": "proposed_at < :proposed_before",
}


async def proposed_adjustments(
    db: AsyncConnection,
    *,
    only: ProposalFilter | None = None,
    order: Keyset = ADJUSTMENTS,
    stretch: Stretch,
) -> list[Adjustment]:
    """Return adjustments that wait for somebody, by ADJUSTMENTS unless asked otherwise."""
    said = (only or ProposalFilter())._asdict()
    ending, facts = page_of(order, stretch, only=said, filters=_FILTERS)
    rows = await db.execute(text(f"SELECT {COLUMNS} FROM adjustment {ending}"), facts)  # noqa: S608
    return [adjustment_of(row) for row in rows]
