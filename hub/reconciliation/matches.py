"""Matches and suggestions, with the rows of both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of
from hub.errors import NotFound
from hub.reconciliation.books import lock_book


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Rows that a rule or a person put together; `decided_by` is None where a rule did alone."""

    match_id: int
    book_id: int
    business_id: int
    leg: int
    rule: int
    state: str
    made_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    note: str | None
    partner_rows: Sequence[int]
    hub_rows: Sequence[int]


_SHOWN = """
SELECT m.match_id, b.book_id, b.business_id, m.leg, m.rule, m.state, m.made_at, m.decided_at,
  m.decided_by, m.note, s.partner_rows, s.hub_rows
FROM {matches} m
CROSS JOIN LATERAL (
  SELECT min(p.book_id) AS book_id,
    coalesce(array_agg(r.row_id ORDER BY r.row_id) FILTER (WHERE p.row_id IS NOT NULL), '{}')
      AS partner_rows,
    coalesce(array_agg(r.row_id ORDER BY r.row_id) FILTER (WHERE p.row_id IS NULL), '{}')
      AS hub_rows
  FROM reconciliation_match_row r LEFT JOIN reconciliation_partner_row p USING (row_id)
  WHERE r.match_id = m.match_id) s
JOIN reconciliation_book b ON b.book_id = s.book_id"""
_MATCH = _SHOWN.replace("{matches}", "reconciliation_match")


async def match_by_id(db: AsyncConnection, match_id: int) -> Match:
    """Return a match or suggestion; raises NotFound."""
    row = (await db.execute(text(f"{_MATCH} WHERE match_id = :id"), {"id": match_id})).first()
    if row is None:
        raise NotFound(f"there is no match {match_id}", match_id=match_id)
    return Match(**row._asdict())


SUGGESTIONS = Keyset(
    (Column("match_id", int, "m.match_id"),),
    where="m.state = 'suggested' AND m.book_id = k.book_id",
)
"""The oldest first."""
BY_MAKING = Keyset(
    (Column("made_at", datetime, "m.made_at"), *SUGGESTIONS.columns), where=SUGGESTIONS.where
)


class SuggestionFilter(NamedTuple):
    """Which suggestions: of which rules (their numbers), made when."""

    rules: Sequence[int] | None = None
    made_from: datetime | None = None
    made_before: datetime | None = None


_FILTERS = {
    "rules": "m.rule = ANY (CAST(:rules AS smallint[]))",
    "made_from": "m.made_at >= :made_from",
    "made_before": "m.made_at < :made_before",
}


async def suggestions(
    db: AsyncConnection,
    *,
    business_ids: Sequence[int],
    only: SuggestionFilter | None = None,
    order: Keyset = SUGGESTIONS,
    stretch: Stretch,
) -> list[Match]:
    """Return what is suggested of these businesses' books and waits for a person.

    So many of each book are looked at.
    """
    said = (only or SuggestionFilter())._asdict()
    ending, facts = page_of(order, stretch, only=said, filters=_FILTERS)
    run = f"ORDER BY {order.order(stretch)}"
    of_books = f"""(SELECT m.* FROM reconciliation_book k CROSS JOIN LATERAL (
        SELECT * FROM reconciliation_match m {ending}) m
      WHERE k.business_id = ANY (CAST(:business_ids AS smallint[])) {run} LIMIT :limit)"""  # noqa: S608 - no input in it
    rows = await db.execute(
        text(f"{_SHOWN.replace('{matches}', of_books)} {run}"),
        facts | {"business_ids": list(business_ids)},
    )
    return [Match(**row._asdict()) for row in rows]


async def lock_match(db: AsyncConnection, match_id: int) -> Match:
    """Return a match that nobody else, and no run, changes before this transaction ends."""
    await lock_book(db, (await match_by_id(db, match_id)).book_id)
    return await match_by_id(db, match_id)


async def matches_of_breaks(
    db: AsyncConnection, *, break_ids: Sequence[int]
) -> dict[int, list[Match]]:
    """Return the matches and suggestions that stand, of which a row of each break is part."""
    pairs = (
        await db.execute(
            text("""
              SELECT DISTINCT b.break_id, m.match_id FROM reconciliation_break b
              JOIN reconciliation_break_row r USING (break_id)
              JOIN reconciliation_match_row m ON m.row_id = r.row_id AND m.leg = b.leg
              WHERE b.break_id = ANY (CAST(:ids AS bigint[])) ORDER BY 1, 2"""),
            {"ids": list(break_ids)},
        )
    ).all()
    rows = await db.execute(
        text(f"""{_MATCH} WHERE m.state IN ('suggested', 'confirmed')
          AND m.match_id = ANY (CAST(:ids AS bigint[]))"""),
        {"ids": list({pair.match_id for pair in pairs})},
    )
    known = {row.match_id: Match(**row._asdict()) for row in rows}
    found: dict[int, list[Match]] = {break_id: [] for break_id in break_ids}
    for pair in pairs:
        if pair.match_id in known:
            found[pair.break_id].append(known[pair.match_id])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The business's sums less the hub's, amounts exact in minor units; None: not said, or not
    to be compared."""

    points: int | None
    amount: Decimal | None
    currencies: int
    rounded: bool


async def difference(
    db: AsyncConnection, *, partner_rows: Sequence[int], hub_rows: Sequence[int]
) -> Difference:
    """Say by how much rows of both sides differ, taken together."""
    row = (
        await db.execute(
            text("""
              SELECT CASE WHEN p.with_points THEN p.points - h.points END AS points,
                CASE WHEN p.with_amount THEN p.amount - h.amount END AS amount,
                (SELECT count(DISTINCT currency) FROM (
                  SELECT currency FROM reconciliation_partner_row
                  WHERE row_id = ANY (CAST(:partners AS bigint[])) AND currency IS NOT NULL
                  UNION ALL SELECT currency FROM reconciliation_hub_row
                  WHERE row_id = ANY (CAST(:hubs AS bigint[]))) c) AS currencies,
                h.rounded
              FROM (SELECT count(points) = count(*) AS with_points, sum(points)::bigint AS points,
                  count(amount_minor) = count(*) AS with_amount, sum(amount_minor) AS amount
                FROM reconciliation_partner_row
                WHERE row_id = ANY (CAST(:partners AS bigint[]))) p
              CROSS JOIN (SELECT sum(points)::bigint AS points,
                  sum(amount_minor + remainder) AS amount, bool_or(remainder <> 0) AS rounded
                FROM reconciliation_hub_row WHERE row_id = ANY (CAST(:hubs AS bigint[]))) h"""),
            {"partners": list(partner_rows), "hubs": list(hub_rows)},
        )
    ).one()
    return Difference(**row._asdict())
