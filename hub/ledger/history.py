"""What was: balances, statements and liability at any moment, from entries that never change.

A moment is one of the ledger's own clock (`posted_at`), which dates a posting by the beginning of
its transaction: what was under way at a moment belongs to it once it is committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Place, Stretch
from hub.ledger.codes import Unit
from hub.ledger.queries import ENTRY_COLUMNS, SIGNED_POINTS, Balance, Entry, balances_of, entry_of

# What is owed lies on a lot of its own, the clawback's, below zero. Where a last day was moved
# later, the first move after the moment says what it was then, and whose a hold was that went along
# with a merge or a split since. A hold's number tells the millisecond in which it was placed.
_BALANCES = text(f"""
WITH kin AS MATERIALIZED (
  SELECT m AS member_id, ledger_kin(ARRAY[m]) AS ids
  FROM unnest(CAST(:member_ids AS bigint[])) AS u (m)
), lots AS MATERIALIZED (
  SELECT e.member_id, e.lot_id, sum({SIGNED_POINTS})::bigint AS n
  FROM entry e
  WHERE e.member_id = ANY (CAST(:member_ids AS bigint[])) AND e.unit = CAST(:unit AS smallint)
    AND e.posted_at <= :at
  GROUP BY e.member_id, e.lot_id
), dated AS (
  SELECT lots.*, coalesce(x.from_date, l.expires_on) AS expires_on,
    coalesce(l.activates_at > :at, false) AS pending
  FROM lots JOIN kin USING (member_id)
  LEFT JOIN lot l ON l.member_id = ANY (kin.ids) AND l.lot_id = lots.lot_id
  LEFT JOIN LATERAL (SELECT from_date FROM lot_extension x
    WHERE x.member_id = ANY (kin.ids) AND x.lot_id = lots.lot_id AND x.extended_at > :at
    ORDER BY x.extended_at LIMIT 1) x ON true
), had AS (
  SELECT member_id, sum(n)::bigint AS posted,
    coalesce(sum(n) FILTER (WHERE pending), 0)::bigint AS pending,
    coalesce(-sum(n) FILTER (WHERE n < 0), 0)::bigint AS owed,
    coalesce(sum(n) FILTER (WHERE n > 0 AND (expires_on < :today OR pending)), 0)::bigint AS unfree
  FROM dated GROUP BY member_id
), kept AS (
  SELECT kin.member_id, sum(h.points - coalesce(t.n, 0))::bigint AS held
  FROM kin JOIN hold h ON h.member_id = ANY (kin.ids)
  LEFT JOIN LATERAL (SELECT m.member_id FROM hold_moved m
    WHERE m.member_id = ANY (kin.ids) AND m.hold_id = h.hold_id AND m.moved_at > :at
    ORDER BY m.moved_at LIMIT 1) was ON true
  LEFT JOIN LATERAL (SELECT sum(t.points) AS n FROM ledger_transaction t
    WHERE t.member_id = ANY (kin.ids) AND t.reference_tx = h.hold_id AND t.kind IN (4, 5, 9)
      AND t.outcome = 0 AND t.posted_at <= :at) t ON true
  WHERE coalesce(was.member_id, h.member_id) = kin.member_id AND h.unit = CAST(:unit AS smallint)
    AND h.hold_id >> 22 <= ledger_tx_at(:at) >> 22
  GROUP BY kin.member_id
), counted AS (
  SELECT member_id, sum({SIGNED_POINTS})::bigint AS qualifying FROM entry
  WHERE member_id = ANY (CAST(:member_ids AS bigint[])) AND unit = 2 AND posted_at <= :at
  GROUP BY member_id
)
SELECT m.member_id, coalesce(had.posted, 0) AS posted, coalesce(kept.held, 0) AS held,
  coalesce(had.pending, 0) AS pending, coalesce(had.owed, 0) AS owed,
  greatest(0, had.posted - coalesce(kept.held, 0) - had.unfree) AS available,
  coalesce(counted.qualifying, 0) AS qualifying
FROM unnest(CAST(:member_ids AS bigint[])) AS m (member_id)
LEFT JOIN had USING (member_id) LEFT JOIN kept USING (member_id) LEFT JOIN counted USING (member_id)
""")  # noqa: S608 - a constant of ours


async def balance_as_of(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    at: datetime,
    today: date,
    unit: int = Unit.SPENDABLE,
) -> dict[int, Balance]:
    """Return each member's balance as it was at a moment; `today` is the group's date then."""
    facts = {"member_ids": list(member_ids), "unit": unit, "at": at, "today": today}
    return balances_of(await db.execute(_BALANCES, facts))


async def lots_as_of(
    db: AsyncConnection, *, member_ids: Sequence[int], at: datetime, unit: int = Unit.SPENDABLE
) -> dict[int, dict[int, int]]:
    """Return what each lot of each member had at a moment; what was owed is a lot below zero."""
    rows = await db.execute(
        text(f"""
          SELECT member_id, lot_id, sum({SIGNED_POINTS})::bigint AS n FROM entry
          WHERE member_id = ANY (CAST(:member_ids AS bigint[])) AND posted_at <= :at
            AND unit = CAST(:unit AS smallint)
          GROUP BY member_id, lot_id HAVING sum({SIGNED_POINTS}) <> 0 ORDER BY 1, 2"""),  # noqa: S608
        {"member_ids": list(member_ids), "unit": unit, "at": at},
    )
    found: dict[int, dict[int, int]] = {member_id: {} for member_id in member_ids}
    for row in rows:
        found[row.member_id][row.lot_id] = row.n
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """An entry and the balance that it left."""

    entry: Entry
    balance: int

    @property
    def place(self) -> Place:
        """Return where the line lies in the statement."""
        return MOVEMENTS.place(self.entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatement:
    """A member's points of a unit over a time. `closing` is `opening` and all its entries; `lines`
    are a page of them, in the order of posting.
    """

    opening: int
    closing: int
    lines: list[StatementLine]


MOVEMENTS = Keyset((Column("posted_at", datetime), Column("tx_id", int), Column("seq", int)))
"""In the order of posting."""
_STATEMENT = f"""
WITH mine AS MATERIALIZED (
  SELECT {ENTRY_COLUMNS},
    (sum({SIGNED_POINTS}) OVER (ORDER BY posted_at, tx_id, seq))::bigint AS running
  FROM entry
  WHERE member_id = :member_id AND unit = CAST(:unit AS smallint) AND 1 IN (debit, credit)
    AND posted_at < :until
), bounds AS (
  SELECT coalesce(sum(points) FILTER (WHERE posted_at < :since), 0)::bigint AS opening,
    coalesce(sum(points), 0)::bigint AS closing
  FROM mine
)
SELECT bounds.*, page.* FROM bounds LEFT JOIN LATERAL (
  SELECT * FROM mine
  WHERE posted_at >= :since AND {{between}} ORDER BY {{order}} LIMIT :limit) page ON true
ORDER BY {{order}}
"""  # noqa: S608 - constants of ours


async def statement_of_account(
    db: AsyncConnection,
    *,
    member_id: int,
    since: datetime,
    until: datetime,
    stretch: Stretch,
    unit: int = Unit.SPENDABLE,
) -> AccountStatement:
    """Return what was posted from `since` until before `until`, with the balance after each entry.

    The lines are a page, by MOVEMENTS; opening and closing are the whole time's.
    """
    query = _STATEMENT.format(between=MOVEMENTS.between(stretch), order=MOVEMENTS.order(stretch))
    facts: dict[str, object] = {
        "member_id": member_id,
        "unit": unit,
        "since": since,
        "until": until,
        "limit": stretch.limit,
        **MOVEMENTS.facts(stretch),
    }
    rows = (await db.execute(text(query), facts)).all()
    return AccountStatement(
        opening=rows[0].opening,
        closing=rows[0].closing,
        lines=[
            StatementLine(entry=entry_of(row), balance=row.running)
            for row in rows
            if row.tx_id is not None
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Liability:
    """What an issuer owed at one cost. `outstanding` is in members' lots, `cost` is that at
    `cost_rate`, exact, in major units of the issuer's currency. `owed` is what members owed in
    points, `receivable` what they owed in money: below zero at a rate at which points repaid what
    had another.
    """

    issuer_id: int
    cost_rate: Decimal
    outstanding: int
    owed: int
    receivable: int
    cost: Decimal


# What is owed keeps the cost of the sale that was refunded, whatever the points cost that repay it.
_LIABILITY = text(f"""
WITH lots AS (
  SELECT min(issuer_id) AS issuer_id, sum({SIGNED_POINTS}) AS n,
    max(cost_rate) AS rate, max(cost_rate) FILTER (WHERE debit = 1) AS owed_rate
  FROM entry
  WHERE posted_at <= :at AND unit = CAST(:unit AS smallint) AND 1 IN (debit, credit)
  GROUP BY member_id, lot_id
), parts AS (
  SELECT issuer_id, rate AS cost_rate, n AS outstanding, 0 AS owed, 0 AS receivable
  FROM lots WHERE n > 0
  UNION ALL
  SELECT issuer_id, owed_rate, 0, -n, 0 FROM lots WHERE n < 0
  UNION ALL
  SELECT issuer_id, cost_rate, 0, 0, CASE WHEN debit = 80 THEN points ELSE -points END
  FROM entry WHERE posted_at <= :at AND unit = CAST(:unit AS smallint) AND 80 IN (debit, credit)
)
SELECT issuer_id, cost_rate, sum(outstanding)::bigint AS outstanding, sum(owed)::bigint AS owed,
  sum(receivable)::bigint AS receivable, sum(outstanding) * cost_rate AS cost
FROM parts GROUP BY issuer_id, cost_rate
HAVING sum(outstanding) <> 0 OR sum(owed) <> 0 OR sum(receivable) <> 0
ORDER BY issuer_id, cost_rate
""")  # noqa: S608 - a constant of ours


async def liability_as_of(
    db: AsyncConnection, *, at: datetime, unit: int = Unit.SPENDABLE
) -> list[Liability]:
    """Return what each issuer owed its members at a moment, by what a point costs it."""
    rows = await db.execute(_LIABILITY, {"at": at, "unit": unit})
    return [Liability(**row._asdict()) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ageing:
    """Points that end in a month (its first day; None: never), and their exact cost."""

    month: date | None
    points: int
    cost: Decimal


async def outstanding_by_expiry(
    db: AsyncConnection, *, issuer_id: int, unit: int = Unit.SPENDABLE
) -> list[Ageing]:
    """Return what members hold now of an issuer's points, by the month of their last day."""
    rows = await db.execute(
        text("""
          SELECT CASE WHEN isfinite(expires_on) THEN date_trunc('month', expires_on)::date END
              AS month, sum(remaining)::bigint AS points, sum(remaining * cost_rate) AS cost
          FROM lot WHERE issuer_id = :issuer_id AND unit = CAST(:unit AS smallint) AND open
          GROUP BY 1 ORDER BY 1 NULLS LAST"""),
        {"issuer_id": issuer_id, "unit": unit},
    )
    return [Ageing(**row._asdict()) for row in rows]
