"""Reads for whoever corrects points: adjustments, and what members owe in money."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch
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


ADJUSTMENTS = Keyset((Column("adjustment_id", int),))
"""The oldest first."""


async def proposed_adjustments(
    db: AsyncConnection, *, business_ids: Sequence[int], stretch: Stretch
) -> list[Adjustment]:
    """Return adjustments at these businesses that wait for somebody, by ADJUSTMENTS."""
    rows = await db.execute(
        text(f"""
          SELECT {COLUMNS} FROM adjustment
          WHERE state = 'proposed' AND business_id = ANY(CAST(:business_ids AS smallint[]))
            AND {ADJUSTMENTS.between(stretch)}
          ORDER BY {ADJUSTMENTS.order(stretch)} LIMIT :limit"""),  # noqa: S608 - constants of ours
        {
            "business_ids": list(business_ids),
            "limit": stretch.limit,
            **ADJUSTMENTS.facts(stretch),
        },
    )
    return [adjustment_of(row) for row in rows]
