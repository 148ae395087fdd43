"""Verdicts: three ways are laid side by side, the two businesses' books and the hub. Who is alone?

Where one business's book breaks with the hub, the other one's either agrees with the hub, or says
the same as the first, or says a third thing, or was not laid beside these days yet.
"""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Verdict(StrEnum):
    """Who stands alone. It is where to look first, and decides nothing."""

    BOOK = "book"
    """The other business's book agrees with the hub."""
    HUB = "hub"
    """Both books say the same, and the hub does not."""
    NONE = "none"
    """Hub and both books say three things."""
    UNTOLD = "untold"
    """The other business's book was not laid beside that day, or the row names no counterparty."""


# A break of a lines' book, and what the other business's book has on the same transaction. Both
# books write what is owed with the same sign, so that the same break is the same difference.
_VERDICTS = """
WITH asked AS (
  SELECT b.break_id, b.leg, b.kind, b.points, b.amount_minor, b.currency, b.day, k.business_id,
    coalesce(b.counterparty_id, h.counterparty_id) AS other_id, h.hubs, p.names, p.receipt
  FROM reconciliation_break b JOIN reconciliation_book k USING (book_id)
  CROSS JOIN LATERAL (
    SELECT array_agg(h.row_id) AS hubs,
      min(CASE b.leg WHEN 1 THEN h.debtor_id ELSE h.creditor_id END) AS counterparty_id
    FROM reconciliation_break_row r JOIN reconciliation_hub_row h USING (row_id)
    WHERE r.break_id = b.break_id) h
  LEFT JOIN LATERAL (
    SELECT min(p.names) AS names, min(p.receipt) AS receipt
    FROM reconciliation_break_row r JOIN reconciliation_partner_row p USING (row_id)
    WHERE r.break_id = b.break_id) p ON true
  WHERE b.break_id = ANY (CAST(:ids AS bigint[])) AND b.leg IN (1, 2)
), facing AS (
  SELECT a.*, o.book_id AS other_book, 3 - a.leg AS other_leg
  FROM asked a JOIN reconciliation_book o ON o.business_id = a.other_id
    AND o.role = CASE a.leg WHEN 1 THEN 'debtor' ELSE 'creditor' END
  WHERE EXISTS (SELECT FROM reconciliation_run r WHERE r.book_id = o.book_id
    AND r.finished_at IS NOT NULL AND a.day BETWEEN r.from_date AND r.to_date)
), told AS (
  SELECT f.break_id,
    CASE
      WHEN f.hubs IS NOT NULL THEN EXISTS (SELECT FROM unnest(f.hubs) AS row_id
        JOIN reconciliation_match_row m USING (row_id) WHERE m.leg = f.other_leg AND m.live)
      ELSE same.anchor_row_id IS NULL AND unlike.anchor_row_id IS NULL END AS with_hub,
    same.anchor_row_id IS NOT NULL AS with_book
  FROM facing f
  LEFT JOIN LATERAL (
    SELECT b.anchor_row_id FROM {facing_breaks}
      AND b.kind = f.kind AND (b.points, b.amount_minor, b.currency)
        IS NOT DISTINCT FROM (f.points, f.amount_minor, f.currency) LIMIT 1) same ON true
  LEFT JOIN LATERAL (SELECT b.anchor_row_id FROM {facing_breaks} LIMIT 1) unlike ON true
)
SELECT i.break_id, CASE WHEN t.break_id IS NULL THEN 'untold' WHEN t.with_book THEN 'hub'
  WHEN t.with_hub THEN 'book' ELSE 'none' END AS verdict
FROM unnest(CAST(:ids AS bigint[])) AS i (break_id) LEFT JOIN told t USING (break_id)""".replace(
    "{facing_breaks}",
    """reconciliation_break b JOIN reconciliation_break_row r USING (break_id)
      LEFT JOIN reconciliation_partner_row p ON p.row_id = r.row_id
      WHERE b.book_id = f.other_book AND b.leg = f.other_leg AND b.closed_at IS NULL
        AND (r.row_id = ANY (f.hubs) OR f.hubs IS NULL AND (p.names = f.names
          OR p.receipt = f.receipt OR f.names IS NULL AND f.receipt IS NULL
            AND p.names IS NULL AND p.receipt IS NULL AND b.day = f.day
            AND b.counterparty_id = f.business_id))""",
)


async def verdicts(db: AsyncConnection, *, break_ids: Sequence[int]) -> dict[int, Verdict]:
    """Say of each break who stands alone with what it says."""
    rows = await db.execute(text(_VERDICTS), {"ids": list(break_ids)})
    return {row.break_id: Verdict(row.verdict) for row in rows}
