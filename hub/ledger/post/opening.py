"""Posting opening balances: what members had before the hub, as lots of their issuers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.post.earn import settle_what_is_owed


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRequest:
    """Points that a member had at `business_id`, which issued them and owes them.

    `expires_on` is their last valid day (None: never), `earned_at` what orders their consumption.
    `occurred_at` and `business_date` are the opening's own. Of the qualifying unit there is no lot.
    """

    business_id: int
    idempotency_key: str
    member_id: int
    account_id: int
    points: int
    unit: int
    cost_rate: Decimal
    expires_on: date | None
    earned_at: datetime
    occurred_at: datetime
    business_date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What came of a set of openings, by the requests' places in it: posted now, posted before, or
    (`differs`, with the field) under a key that was used for something else.
    """

    posted: set[int]
    known: set[int]
    differs: dict[int, str]


_COLUMNS = {
    "business_id": "smallint", "idempotency_key": "text", "member_id": "bigint",
    "account_id": "bigint", "points": "bigint", "unit": "smallint", "cost_rate": "numeric",
    "expires_on": "date", "earned_at": "timestamptz", "occurred_at": "timestamptz",
    "business_date": "date",
}  # fmt: skip
_ARRAYS = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())

# Rows go in ordered by member, as in every batch. Of two requests with one key the first is posted.
_OPEN = text(f"""
WITH asked AS MATERIALIZED (
  SELECT ledger_next_tx() AS tx_id, r.* FROM (
    SELECT n, {", ".join(name for name in _COLUMNS if name != "expires_on")},
      coalesce(expires_on, 'infinity') AS expires_on
    FROM unnest({_ARRAYS}) WITH ORDINALITY AS o ({", ".join(_COLUMNS)}, n)
    ORDER BY member_id, n) AS r
), header AS (
  INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id, account_id, kind,
      unit, points, cost_rate, expires_on, occurred_at, business_date)
  SELECT tx_id, business_id, idempotency_key, member_id, account_id, 17, unit, points, cost_rate,
    expires_on, occurred_at, business_date
  FROM asked
  ON CONFLICT (business_id, idempotency_key) DO NOTHING
  RETURNING tx_id
), posted AS MATERIALIZED (
  SELECT asked.* FROM asked JOIN header USING (tx_id)
), lots AS (
  INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
      earned_at, cost_rate, unit)
  SELECT member_id, tx_id, account_id, business_id, points, points, expires_on, earned_at,
    cost_rate, unit
  FROM posted WHERE unit <> 2
), entries AS (
  INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
      business_date, debit, credit, issuer_id, business_id, unit, cost_rate, xact)
  SELECT member_id, tx_id, 1, tx_id, account_id, points, occurred_at, business_date, 70, 1,
    business_id, business_id, unit, cost_rate, (SELECT txid_current())
  FROM posted
), balances AS (
  INSERT INTO balance (member_id, unit, posted, last_active_on)
  SELECT member_id, unit, sum(points), max(business_date) FROM posted
  GROUP BY member_id, unit ORDER BY member_id, unit
  ON CONFLICT (member_id, unit) DO UPDATE
    SET posted = balance.posted + excluded.posted, version = balance.version + 1,
      last_active_on = greatest(balance.last_active_on, excluded.last_active_on)
  RETURNING member_id, owed
)
SELECT array_agg(n) AS places, array_agg(tx_id) AS tx_ids,
  (SELECT array_agg(member_id) FROM balances WHERE owed > 0) AS owing
FROM posted
""")  # noqa: S608 - constants of ours

# In a statement of its own: it sees what the one before has stored, and compares with that.
_COMPARE = text(f"""
SELECT n, CASE WHEN t.kind <> 17 THEN 'reference' WHEN t.member_id <> o.member_id THEN 'external_id'
  WHEN t.points <> o.points THEN 'points' WHEN t.unit <> o.unit THEN 'unit'
  WHEN t.cost_rate <> o.cost_rate THEN 'cost_rate'
  WHEN t.expires_on <> coalesce(o.expires_on, 'infinity') THEN 'expires_on' END AS field
FROM unnest({_ARRAYS}) WITH ORDINALITY AS o ({", ".join(_COLUMNS)}, n)
JOIN ledger_transaction t USING (business_id, idempotency_key)
""")  # noqa: S608 - constants of ours


async def post_openings(db: AsyncConnection, requests: Sequence[OpeningRequest]) -> Opened:
    """Give each member the points that they had, as lots of the business that owes them.

    What was posted before is not posted again. Points that a member owes are repaid from them.
    """
    if not requests:
        return Opened(posted=set(), known=set(), differs={})
    row = (await db.execute(_OPEN, _columns(requests))).one()
    posted = {place - 1: tx_id for place, tx_id in zip(row.places or (), row.tx_ids or (),
        strict=True)}  # fmt: skip
    if row.owing:
        owing = set(row.owing)
        causes = [
            (r.member_id, r.unit, tx_id, r.occurred_at, r.business_date)
            for place, tx_id in posted.items()
            if (r := requests[place]).member_id in owing
        ]
        await settle_what_is_owed(db, causes)
    rest = [place for place in range(len(requests)) if place not in posted]
    if not rest:
        return Opened(posted=set(posted), known=set(), differs={})
    found = await db.execute(_COMPARE, _columns([requests[place] for place in rest]))
    said = {rest[one.n - 1]: one.field for one in found}
    return Opened(
        posted=set(posted),
        known={place for place, field in said.items() if field is None},
        differs={place: field for place, field in said.items() if field is not None},
    )


def _columns(requests: Sequence[OpeningRequest]) -> dict[str, object]:
    names = [field.name for field in fields(OpeningRequest)]
    return {name: [getattr(request, name) for request in requests] for name in names}
