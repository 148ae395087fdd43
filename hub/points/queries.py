"""Reads of points: what an earn was computed from."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.programme.earning import EarnedLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Why an earn came to its points: the bill, its earning lines and the rule version.

    `total_minor` is what was paid, tax and tip included; `rule_id` is None when the earn gave
    qualifying points only.
    """

    rule_id: int | None
    total_minor: int
    currency: str
    lines: tuple[EarnedLine, ...]


async def bases(
    db: AsyncConnection, *, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Basis]:
    """Return what earns were computed from, by `(member_id, tx_id)`; others are left out."""
    rows = await db.execute(
        text("""
          SELECT b.member_id, b.tx_id, l.rule_id, b.total_minor, b.currency, b.lines
          FROM earn_basis b JOIN unnest(CAST(:members AS bigint[]), CAST(:txs AS bigint[]))
            AS k (member_id, tx_id) USING (member_id, tx_id)
          LEFT JOIN lot l ON l.member_id = b.member_id AND l.lot_id = b.tx_id"""),
        {"members": [member_id for member_id, _ in keys], "txs": [tx_id for _, tx_id in keys]},
    )
    return {
        (row.member_id, row.tx_id): Basis(
            rule_id=row.rule_id,
            total_minor=row.total_minor,
            currency=row.currency,
            lines=tuple(EarnedLine(**line) for line in row.lines),
        )
        for row in rows
    }
