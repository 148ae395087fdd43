"""The posting gate: the only place that changes a balance.

Each function is one statement to the database and posts all of it or nothing. Idempotency is the
header's primary key, `(business_id, idempotency_key)`: a request that was posted before posts
nothing and is answered from the stored header.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class EarnRequest:
    """One lot to be issued by `business_id` to a member, acting through one of its accounts.

    `expires_on` is the last day the points are valid (None: never). `cost_rate` is what a point
    costs its issuer, in major currency units.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the ledger says to one request: posted now, posted before, or declined.

    `available` is what the request could have had at most: the member's free points, or what was
    left of the hold or the redemption. `shortfall` is what a clawback could not take.
    """

    tx_id: int
    replayed: bool
    kind: Kind
    outcome: Outcome
    member_id: int
    points: int
    reference_tx: int | None
    shortfall: int
    available: int | None


# The header holds the request in full, so that nothing is joined back to the input. Rows go in
# ordered by member: two batches meet their common members in the same order and cannot deadlock.
_EARN = text("""
WITH header AS (
  INSERT INTO ledger_transaction (business_id, idempotency_key, member_id, account_id, kind,
      points, qualifying, rule_id, cost_rate, expires_on, occurred_at, business_date)
  SELECT b, k, m, a, 1, p, q, r, c, coalesce(e, 'infinity'), o, d
  FROM unnest(CAST(:business_id AS smallint[]), CAST(:idempotency_key AS text[]),
      CAST(:member_id AS bigint[]), CAST(:account_id AS bigint[]), CAST(:points AS bigint[]),
      CAST(:qualifying AS bigint[]), CAST(:rule_id AS integer[]), CAST(:cost_rate AS numeric[]),
      CAST(:expires_on AS date[]), CAST(:occurred_at AS timestamptz[]),
      CAST(:business_date AS date[])) AS x(b, k, m, a, p, q, r, c, e, o, d)
  ORDER BY m, b, k
  ON CONFLICT (business_id, idempotency_key) DO NOTHING
  RETURNING tx_id, business_id, idempotency_key, member_id, account_id, points, qualifying,
    rule_id, cost_rate, expires_on, occurred_at, business_date
), lots AS (
  INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
      earned_at, rule_id, cost_rate)
  SELECT member_id, tx_id, account_id, business_id, points, points, expires_on, occurred_at,
    rule_id, cost_rate
  FROM header WHERE points > 0
), entries AS (
  INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
      business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
  SELECT member_id, tx_id, 1, tx_id, account_id, points, occurred_at, business_date, 10, 1,
    business_id, business_id, 1, cost_rate
  FROM header WHERE points > 0
  UNION ALL
  SELECT member_id, tx_id, 2, tx_id, account_id, qualifying, occurred_at, business_date, 10, 1,
    business_id, business_id, 2, 0
  FROM header WHERE qualifying > 0
), balances AS (
  INSERT INTO balance (member_id, unit, posted)
  SELECT member_id, unit, sum(n) FROM (
    SELECT member_id, 1 AS unit, points AS n FROM header WHERE points > 0
    UNION ALL SELECT member_id, 2, qualifying FROM header WHERE qualifying > 0) AS moved
  GROUP BY member_id, unit ORDER BY member_id, unit
  ON CONFLICT (member_id, unit) DO UPDATE
    SET posted = balance.posted + excluded.posted, version = balance.version + 1
)
SELECT idempotency_key, business_id, tx_id FROM header
""")


async def post_earns(
    db: AsyncConnection, requests: Sequence[EarnRequest]
) -> dict[tuple[int, str], int]:
    """Issue a lot for each request not posted before, in one statement.

    Returns the new transactions' ids by `(business_id, idempotency_key)`; a request that is
    absent was posted earlier. Keys must not repeat within `requests`.
    """
    columns = {
        name: [getattr(request, name) for request in requests]
        for name in EarnRequest.__dataclass_fields__
    }
    posted = await db.execute(_EARN, columns)
    return {(row.business_id, row.idempotency_key): row.tx_id for row in posted}


_REDEEM = text("""
SELECT * FROM ledger_redeem(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :account_id, :points, :occurred_at, :business_date, :today)
""")
_HOLD = text("""
SELECT * FROM ledger_hold(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :account_id, :points, :expires_at, :occurred_at, :business_date, :today)
""")
_END_HOLD = text("""
SELECT * FROM ledger_end_hold(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :hold_id, CAST(:kind AS smallint), CAST(:points AS bigint), :occurred_at, :business_date, :now)
""")
_CLAWBACK = text("""
SELECT * FROM ledger_clawback(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :account_id, :earn_tx, :points, :qualifying, :occurred_at, :business_date)
""")
_RESTORE = text("""
SELECT * FROM ledger_restore(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :redeem_tx, :points, :occurred_at, :business_date, :today, :grace_until)
""")


async def post_redeem(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    account_id: int | None,
    points: int,
    occurred_at: datetime,
    business_date: date,
    today: date,
) -> Answer:
    """Spend `points` from the lots valid on `today`, soonest expiry first."""
    return await _answer(db, _REDEEM, locals())


async def post_hold(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    account_id: int | None,
    points: int,
    expires_at: datetime,
    occurred_at: datetime,
    business_date: date,
    today: date,
) -> Answer:
    """Set `points` aside until `expires_at`. The answer's `tx_id` is the hold's id."""
    return await _answer(db, _HOLD, locals())


async def post_end_of_hold(
    db: AsyncConnection,
    *,
    kind: Kind,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    hold_id: int,
    points: int | None,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
) -> Answer:
    """Capture, void or lapse `points` of a hold (None: all that is left of it)."""
    return await _answer(db, _END_HOLD, locals())


async def post_clawback(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    account_id: int,
    earn_tx: int,
    points: int,
    qualifying: int,
    occurred_at: datetime,
    business_date: date,
) -> Answer:
    """Take back points of an earn: own lot, then the issuer's other lots, never what is held."""
    return await _answer(db, _CLAWBACK, locals())


async def post_restore(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    redeem_tx: int,
    points: int,
    occurred_at: datetime,
    business_date: date,
    today: date,
    grace_until: date,
) -> Answer:
    """Give redeemed points back to the lots they came from, last taken first."""
    return await _answer(db, _RESTORE, locals())


# One statement takes the expired lots of a chunk of members, oldest first, but leaves what is held:
# points under a hold expire once the hold has ended. The lock on the balances comes first, and in
# a statement of its own, so that the lots are read as they are after the wait. The header's key is
# only a name: nothing is due twice, and that makes it safe to run again.
_LOCK_BALANCES = text("""
SELECT 1 FROM balance WHERE member_id = ANY(CAST(:member_ids AS bigint[])) AND unit = 1
ORDER BY member_id FOR UPDATE
""")
_EXPIRE = text("""
WITH due AS MATERIALIZED (
  SELECT l.member_id, l.expires_on, l.earned_at, l.lot_id, l.account_id, l.issuer_id, l.cost_rate,
    l.remaining,
    b.posted - b.held AS free,
    sum(l.remaining) OVER (PARTITION BY l.member_id ORDER BY l.expires_on, l.earned_at,
      l.lot_id)
      - l.remaining AS before
  FROM lot l JOIN balance b ON b.member_id = l.member_id AND b.unit = 1
  WHERE l.member_id = ANY(CAST(:member_ids AS bigint[])) AND l.open AND l.expires_on < :today
), taken AS MATERIALIZED (
  SELECT due.*, least(remaining, free - before)::bigint AS n FROM due WHERE free > before
), header AS (
  INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id, kind, points,
      occurred_at, business_date)
  SELECT tx_id, 0, 'expire:' || tx_id, 0, 7, n, :now, :today
  FROM (SELECT nextval('ledger_tx_id') AS tx_id, sum(n) AS n FROM taken HAVING count(*) > 0) AS s
  RETURNING tx_id
), lots AS (
  UPDATE lot l SET remaining = l.remaining - t.n, open = (l.remaining > t.n)
  FROM taken t WHERE l.member_id = t.member_id AND l.expires_on = t.expires_on
    AND l.earned_at = t.earned_at AND l.lot_id = t.lot_id
), entries AS (
  INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
      business_date, debit, credit, issuer_id, business_id, unit, cost_rate)
  SELECT member_id, header.tx_id, row_number() OVER (PARTITION BY member_id
      ORDER BY expires_on, earned_at, lot_id), lot_id, account_id, n, :now, :today, 1, 30,
    issuer_id, issuer_id, 1, cost_rate
  FROM taken, header
), balances AS (
  UPDATE balance b SET posted = b.posted - s.n, version = b.version + 1
  FROM (SELECT member_id, sum(n)::bigint AS n FROM taken GROUP BY member_id) s
  WHERE b.member_id = s.member_id AND b.unit = 1
)
SELECT count(*) AS lots, coalesce(sum(n), 0)::bigint AS points FROM taken
""")


async def post_expiry(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    today: date,
    now: datetime,
) -> tuple[int, int]:
    """Expire the given members' lots that were last valid before `today`.

    Returns how many lots and points went. Running it again finds nothing left to expire.
    """
    await db.execute(_LOCK_BALANCES, {"member_ids": member_ids})
    facts = {"member_ids": member_ids, "today": today, "now": now}
    row = (await db.execute(_EXPIRE, facts)).one()
    return row.lots, row.points


async def _answer(db: AsyncConnection, statement: TextClause, facts: dict[str, object]) -> Answer:
    facts = {name: value for name, value in facts.items() if name != "db"}
    row = (await db.execute(statement, facts)).one()
    values = row._asdict()
    return Answer(**{**values, "kind": Kind(row.kind), "outcome": Outcome(row.outcome)})
