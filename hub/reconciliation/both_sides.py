"""Rows of both sides as people see them: a book's with file and line, or the hub's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRow:
    """A row of a break or a match, of the business's book (with its file and line) or of the hub.

    `of_id` is the break or the match. `transaction` is the transaction or payment that it names.
    """

    of_id: int
    row_id: int
    of_hub: bool
    day: date
    points: int | None
    amount_minor: int | None
    currency: str | None
    counterparty_id: int | None
    reference: str | None
    transaction: str | None
    file: str | None
    number: int | None


_ROWS = """
SELECT r.{of} AS of_id, r.row_id, h.row_id IS NOT NULL AS of_hub, coalesce(p.day, h.day) AS day,
  CASE WHEN h.row_id IS NULL THEN p.points ELSE h.points END AS points,
  CASE WHEN h.row_id IS NULL THEN p.amount_minor ELSE h.amount_minor END AS amount_minor,
  CASE WHEN h.row_id IS NULL THEN p.currency ELSE h.currency END AS currency,
  CASE WHEN h.row_id IS NULL THEN p.counterparty_id
    WHEN b.leg IN (1, 3) THEN h.debtor_id ELSE h.creditor_id END AS counterparty_id,
  p.reference, coalesce(p.names, p.receipt, h.names) AS transaction, f.name AS file, p.number
FROM reconciliation_{table}_row r JOIN reconciliation_{table} b USING ({of})
LEFT JOIN reconciliation_partner_row p ON p.row_id = r.row_id
LEFT JOIN reconciliation_file f ON f.file_id = p.file_id
LEFT JOIN reconciliation_hub_row h ON h.row_id = r.row_id
WHERE r.{of} = ANY (CAST(:ids AS bigint[])) ORDER BY 1, of_hub, r.row_id"""


async def rows_of_breaks(
    db: AsyncConnection, *, break_ids: Sequence[int]
) -> dict[int, list[SideRow]]:
    """Return the rows of each break, the business's own first."""
    return await _rows(db, "break", break_ids)


async def rows_of_matches(
    db: AsyncConnection, *, match_ids: Sequence[int]
) -> dict[int, list[SideRow]]:
    """Return the rows of each match, the business's own first."""
    return await _rows(db, "match", match_ids)


async def _rows(db: AsyncConnection, table: str, ids: Sequence[int]) -> dict[int, list[SideRow]]:
    found: dict[int, list[SideRow]] = {of_id: [] for of_id in ids}
    sql = _ROWS.replace("{of}", f"{table}_id").replace("{table}", table)
    for row in await db.execute(text(sql), {"ids": list(ids)}):
        found[row.of_id].append(SideRow(**row._asdict()))
    return found
