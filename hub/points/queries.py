"""Reads of points: what earns were computed from, and what refunds undid of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.programme.earning import EarnedLine
from hub.programme.steps import Step, unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Why an earn came to its points: the bill, its earning lines and the rule version.

    `total_minor` is what was paid, tax and tip included; `exchange_rate` what the bill was
    converted at. `steps` is empty when the rule's own rate and the rounding tell it all;
    `rule_id` is None when the version was not kept.
    """

    member_id: int
    tx_id: int
    rule_id: int | None
    unit: int
    total_minor: int
    base_minor: int
    currency: str
    exchange_rate: Decimal | None
    lines: tuple[EarnedLine, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundBasis:
    """What a clawback was computed from: the refund, the points that it made due, and of what.

    `unallocated_minor` was given back without naming lines. The `earlier` ones are what refunds of
    the same sale had made due before.
    """

    member_id: int
    tx_id: int
    earn_tx: int
    amount_minor: int
    unallocated_minor: int
    points: int
    qualifying: int
    earlier_points: int
    earlier_qualifying: int


async def bases(
    db: AsyncConnection, *, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Basis]:
    """Return what earns were computed from, by `(member_id, tx_id)`; others are left out."""
    rows = await db.execute(
        text("""
          SELECT b.member_id, b.tx_id, coalesce(b.rule_id, l.rule_id) AS rule_id, b.unit,
            b.total_minor, b.base_minor, b.currency, b.exchange_rate, b.lines, b.steps
          FROM earn_basis b JOIN unnest(CAST(:members AS bigint[]), CAST(:txs AS bigint[]))
            AS k (member_id, tx_id) USING (member_id, tx_id)
          LEFT JOIN lot l ON l.member_id = b.member_id AND l.lot_id = b.tx_id"""),
        _columns(keys),
    )
    found = {}
    for row in rows:
        lines = tuple(EarnedLine(**line) for line in row.lines)
        base = sum(line.base for line in lines) if row.base_minor is None else row.base_minor
        found[row.member_id, row.tx_id] = Basis(
            **{
                **row._asdict(),
                "lines": lines,
                "base_minor": base,
                "steps": tuple(unpack(step) for step in row.steps or ()),
            }
        )
    return found


async def refund_bases(
    db: AsyncConnection, *, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], RefundBasis]:
    """Return what clawbacks were computed from, by `(member_id, tx_id)`; others are left out."""
    rows = await db.execute(
        text("""
          SELECT r.member_id, r.tx_id, r.earn_tx, r.amount_minor, r.unallocated_minor, r.points,
            r.qualifying, earlier.points AS earlier_points,
            earlier.qualifying AS earlier_qualifying
          FROM refund_basis r JOIN unnest(CAST(:members AS bigint[]), CAST(:txs AS bigint[]))
            AS k (member_id, tx_id) USING (member_id, tx_id)
          CROSS JOIN LATERAL (
            SELECT coalesce(sum(points), 0)::bigint AS points,
              coalesce(sum(qualifying), 0)::bigint AS qualifying
            FROM refund_basis e
            WHERE e.member_id = ANY (ledger_kin(ARRAY[r.member_id]))
              AND e.earn_tx = r.earn_tx AND e.tx_id < r.tx_id
          ) earlier"""),
        _columns(keys),
    )
    return {(row.member_id, row.tx_id): RefundBasis(**row._asdict()) for row in rows}


def _columns(keys: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    return {"members": [member_id for member_id, _ in keys], "txs": [tx_id for _, tx_id in keys]}
