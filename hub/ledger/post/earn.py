"""Posting earns: a lot, its entries and balances for each request, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class EarnRequest:
    """One lot to be issued by `business_id` to a member, acting through one of its accounts.

    `points` are of `unit`, `qualifying` of the qualifying unit. `expires_on` is the last day the
    points are valid (None: never, or by `idle_months` of idleness). They are active at once, from
    `activates_at`, or from check-out. `cost_rate` is what a point costs its issuer, in major
    currency units; `funder_id` pays it (None: the issuer), under `agreement_id`.
    """

    business_id: int
    idempotency_key: str
    member_id: int
    account_id: int
    points: int
    qualifying: int
    rule_id: int | None
    cost_rate: Decimal
    expires_on: date | None
    occurred_at: datetime
    business_date: date
    unit: int = Unit.SPENDABLE
    funder_id: int | None = None
    agreement_id: int | None = None
    activates_at: datetime | None = None
    on_checkout: bool = False
    idle_months: int | None = None


# Most requests of a batch share most of what they say. What is shared is sent once for each
# combination (`terms`): packing values for the server took as long as posting them.
_OWN = {
    "idempotency_key": "text", "member_id": "bigint", "account_id": "bigint", "points": "bigint",
    "qualifying": "bigint", "occurred_at": "timestamptz",
}  # fmt: skip
_SHARED = {
    "business_id": "smallint", "rule_id": "integer", "cost_rate": "numeric", "expires_on": "date",
    "business_date": "date", "unit": "smallint", "funder_id": "smallint",
    "agreement_id": "integer", "activates_at": "timestamptz", "on_checkout": "boolean",
    "idle_months": "smallint",
}  # fmt: skip
_own_values = attrgetter(*_OWN)
_shared_values = attrgetter(*_SHARED)


def _arrays(columns: dict[str, str]) -> str:
    return ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns.items())


# Rows go in ordered by member: two batches meet their common members in the same order and cannot
# deadlock.
_EARN = text(f"""
WITH asked AS MATERIALIZED (
  SELECT ledger_next_tx() AS tx_id, r.*,
    coalesce(active_from > CAST(:now AS timestamptz), false) AS pending
  FROM (
    SELECT {", ".join(_OWN)}, business_id, rule_id, cost_rate, business_date, unit, funder_id,
      agreement_id, idle_months, coalesce(expires_on, 'infinity') AS expires_on,
      CASE WHEN on_checkout THEN 'infinity' ELSE activates_at END AS active_from
    FROM unnest({_arrays(_OWN)}, CAST(:terms AS integer[])) AS o ({", ".join(_OWN)}, n)
    JOIN unnest({_arrays(_SHARED)}) WITH ORDINALITY AS s ({", ".join(_SHARED)}, n) ON s.n = o.n
    ORDER BY member_id, business_id, idempotency_key
  ) AS r
), header AS (
  INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id, account_id, kind,
      unit, points, qualifying, rule_id, cost_rate, expires_on, occurred_at, business_date)
  SELECT tx_id, business_id, idempotency_key, member_id, account_id, 1, unit, points, qualifying,
    rule_id, cost_rate, expires_on, occurred_at, business_date
  FROM asked
  ON CONFLICT (business_id, idempotency_key) DO NOTHING
  RETURNING tx_id
), posted AS MATERIALIZED (
  SELECT asked.* FROM asked JOIN header USING (tx_id)
), lots AS (
  INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
      earned_at, rule_id, cost_rate, unit, funder_id, agreement_id, idle_months, activates_at,
      pending)
  SELECT member_id, tx_id, account_id, business_id, points, points, expires_on, occurred_at,
    rule_id, cost_rate, unit, funder_id, agreement_id, idle_months, active_from, pending
  FROM posted WHERE points > 0
), entries AS (
  INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
      business_date, debit, credit, issuer_id, business_id, unit, cost_rate, xact)
  SELECT member_id, tx_id, 1, tx_id, account_id, points, occurred_at, business_date, 10, 1,
    business_id, business_id, unit, cost_rate, (SELECT txid_current())
  FROM posted WHERE points > 0
  UNION ALL
  SELECT member_id, tx_id, 2, tx_id, account_id, qualifying, occurred_at, business_date, 10, 1,
    business_id, business_id, 2, 0, (SELECT txid_current())
  FROM posted WHERE qualifying > 0
), balances AS (
  INSERT INTO balance (member_id, unit, posted, pending, last_active_on)
  SELECT member_id, unit, sum(n), sum(later), max(business_date) FROM (
    SELECT member_id, unit, points AS n, business_date,
      CASE WHEN pending THEN points ELSE 0 END AS later
    FROM posted WHERE points > 0
    UNION ALL
    SELECT member_id, 2, qualifying, business_date, 0 FROM posted WHERE qualifying > 0) AS moved
  GROUP BY member_id, unit ORDER BY member_id, unit
  ON CONFLICT (member_id, unit) DO UPDATE
    SET posted = balance.posted + excluded.posted, version = balance.version + 1,
      pending = balance.pending + excluded.pending,
      last_active_on = greatest(balance.last_active_on, excluded.last_active_on)
  RETURNING member_id, unit, owed
)
SELECT array_agg(business_id) AS businesses, array_agg(idempotency_key) AS keys,
  array_agg(tx_id) AS tx_ids,
  (SELECT array_agg(member_id) FROM balances WHERE owed > 0) AS owing
FROM posted
""")  # noqa: S608 - constants of ours

# What is owed is repaid from points that have just come, member by member: hardly anybody owes.
_SETTLE = text("""
SELECT ledger_settle(member_id, unit, tx_id, occurred_at, business_date)
FROM unnest(CAST(:member_id AS bigint[]), CAST(:unit AS smallint[]), CAST(:tx_id AS bigint[]),
    CAST(:occurred_at AS timestamptz[]), CAST(:business_date AS date[]))
  AS x(member_id, unit, tx_id, occurred_at, business_date)
ORDER BY member_id, tx_id
""")


async def post_earns(
    db: AsyncConnection, requests: Sequence[EarnRequest], *, now: datetime | None = None
) -> dict[tuple[int, str], int]:
    """Issue a lot for each request not posted before, in one statement.

    Points whose activation lies after `now` are pending. Returns the new transactions' ids by
    `(business_id, idempotency_key)`; a request that is absent was posted earlier. Keys must not
    repeat within `requests`.
    """
    requests = await _unposted(db, requests)
    if not requests:
        return {}
    terms: dict[tuple[object, ...], int] = {}
    numbers = [terms.setdefault(_shared_values(r), len(terms) + 1) for r in requests]
    facts: dict[str, object] = {"terms": numbers, "now": now}
    facts |= dict(zip(_OWN, map(list, zip(*map(_own_values, requests), strict=True)), strict=True))
    facts |= dict(zip(_SHARED, map(list, zip(*terms, strict=True)), strict=True))
    row = (await db.execute(_EARN, facts)).one()
    posted = dict(zip(zip(row.businesses or (), row.keys or (), strict=True), row.tx_ids or (),
        strict=True))  # fmt: skip
    if row.owing:
        await _settle(db, [r for r in requests if r.member_id in set(row.owing)], posted)
    return posted


async def _settle(
    db: AsyncConnection, requests: Sequence[EarnRequest], posted: dict[tuple[int, str], int]
) -> None:
    causes = [
        (r.member_id, r.unit, tx_id, r.occurred_at, r.business_date)
        for r in requests
        if (tx_id := posted.get((r.business_id, r.idempotency_key))) is not None
    ]
    await settle_what_is_owed(db, causes)


async def settle_what_is_owed(
    db: AsyncConnection, causes: Sequence[tuple[int, int, int, datetime, date]]
) -> None:
    """Repay what members owe from what has come: member, unit, transaction, instant and date."""
    names = ("member_id", "unit", "tx_id", "occurred_at", "business_date")
    if causes:
        columns = map(list, zip(*causes, strict=True))
        await db.execute(_SETTLE, dict(zip(names, columns, strict=True)))


# A batch of which one was posted has most likely been posted whole: what is known already need not
# be packed and sent. A batch that is all new pays for a look at three.
_LOOK_FROM = 100


async def _unposted(db: AsyncConnection, requests: Sequence[EarnRequest]) -> Sequence[EarnRequest]:
    if len(requests) < _LOOK_FROM:
        return requests
    if not await _posted(db, (requests[0], requests[len(requests) // 2], requests[-1])):
        return requests
    known = await _posted(db, requests)
    return [r for n, r in enumerate(requests, start=1) if n not in known]


async def _posted(db: AsyncConnection, requests: Sequence[EarnRequest]) -> set[int]:
    """Return the positions, from 1, of the requests that were posted before."""
    found = await db.scalar(
        text("""
          SELECT array_agg(n) FROM unnest(CAST(:businesses AS smallint[]), CAST(:keys AS text[]))
            WITH ORDINALITY AS q (business, key, n)
          WHERE EXISTS (SELECT 1 FROM ledger_transaction t
            WHERE t.business_id = q.business AND t.idempotency_key = q.key)"""),
        {
            "businesses": [r.business_id for r in requests],
            "keys": [r.idempotency_key for r in requests],
        },
    )
    return set(found or ())
