"""Posting earns: a lot, its entries and balances for each request, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import TextClause, text
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


# The header holds what was asked, so that nothing is joined back to the input but what few earns
# have. Rows go in ordered by member: two batches meet their common members in the same order and
# cannot deadlock.
_PLAIN = ("business_id smallint", "idempotency_key text", "member_id bigint", "account_id bigint",
          "points bigint", "qualifying bigint", "rule_id integer", "cost_rate numeric",
          "expires_on date", "occurred_at timestamptz", "business_date date",
          "unit smallint")  # fmt: skip
_SPECIAL = ("funder_id smallint", "agreement_id integer", "activates_at timestamptz",
            "on_checkout boolean", "idle_months smallint")  # fmt: skip


_XACT = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"


def _statement(columns: Sequence[str], *, special: bool) -> TextClause:
    names = [column.split()[0] for column in columns]
    arrays = [f"CAST(:{column.replace(' ', ' AS ')}[])" for column in columns]
    # Pending: what becomes active after :now. Only special requests can say so.
    joined = "JOIN asked a USING (business_id, idempotency_key)" if special else ""
    active_from = "CASE WHEN a.on_checkout THEN 'infinity' ELSE a.activates_at END"
    extra = (
        f"a.funder_id, a.agreement_id, a.idle_months, {active_from},"
        f" coalesce({active_from} > CAST(:now AS timestamptz), false)"
        if special
        else "CAST(NULL AS smallint), CAST(NULL AS integer), CAST(NULL AS smallint), "
        "CAST(NULL AS timestamptz), false"
    )
    later = (
        f"CASE WHEN {active_from} > CAST(:now AS timestamptz) THEN h.points ELSE 0 END"
        if special
        else "0"
    )
    return text(f"""
WITH asked AS (
  SELECT * FROM unnest({", ".join(arrays)}) AS x({", ".join(names)})
), header AS (
  INSERT INTO ledger_transaction (business_id, idempotency_key, member_id, account_id, kind, unit,
      points, qualifying, rule_id, cost_rate, expires_on, occurred_at, business_date)
  SELECT business_id, idempotency_key, member_id, account_id, 1, unit, points, qualifying, rule_id,
    cost_rate, coalesce(expires_on, 'infinity'), occurred_at, business_date
  FROM asked ORDER BY member_id, business_id, idempotency_key
  ON CONFLICT (business_id, idempotency_key) DO NOTHING
  RETURNING tx_id, business_id, idempotency_key, member_id, account_id, unit, points, qualifying,
    rule_id, cost_rate, expires_on, occurred_at, business_date
), lots AS (
  INSERT INTO lot (member_id, lot_id, account_id, issuer_id, earned, remaining, expires_on,
      earned_at, rule_id, cost_rate, unit, funder_id, agreement_id, idle_months, activates_at,
      pending)
  SELECT h.member_id, h.tx_id, h.account_id, h.business_id, h.points, h.points, h.expires_on,
    h.occurred_at, h.rule_id, h.cost_rate, h.unit, {extra}
  FROM header h {joined} WHERE h.points > 0
), entries AS (
  INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
      business_date, debit, credit, issuer_id, business_id, unit, cost_rate, xact)
  SELECT member_id, tx_id, 1, tx_id, account_id, points, occurred_at, business_date, 10, 1,
    business_id, business_id, unit, cost_rate, (SELECT {_XACT})
  FROM header WHERE points > 0
  UNION ALL
  SELECT member_id, tx_id, 2, tx_id, account_id, qualifying, occurred_at, business_date, 10, 1,
    business_id, business_id, 2, 0, (SELECT {_XACT})
  FROM header WHERE qualifying > 0
), balances AS (
  INSERT INTO balance (member_id, unit, posted, pending, last_active_on)
  SELECT member_id, unit, sum(n), sum(later), max(business_date) FROM (
    SELECT h.member_id, h.unit, h.points AS n, h.business_date, {later} AS later
    FROM header h {joined} WHERE h.points > 0
    UNION ALL
    SELECT member_id, 2, qualifying, business_date, 0 FROM header WHERE qualifying > 0) AS moved
  GROUP BY member_id, unit ORDER BY member_id, unit
  ON CONFLICT (member_id, unit) DO UPDATE
    SET posted = balance.posted + excluded.posted, version = balance.version + 1,
      pending = balance.pending + excluded.pending,
      last_active_on = greatest(balance.last_active_on, excluded.last_active_on)
  RETURNING member_id, unit, owed
)
SELECT h.idempotency_key, h.business_id, h.tx_id,
  EXISTS (SELECT 1 FROM balances b
    WHERE b.owed > 0 AND b.member_id = h.member_id AND b.unit = h.unit) AS owes
FROM header h
""")  # noqa: S608 - constants of ours


_EARN = _statement(_PLAIN, special=False)
_EARN_SPECIAL = _statement((*_PLAIN, *_SPECIAL), special=True)

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
    special = any(
        r.activates_at or r.on_checkout or r.idle_months or r.funder_id or r.agreement_id
        for r in requests
    )
    columns = (*_PLAIN, *_SPECIAL) if special else _PLAIN
    names = [column.split()[0] for column in columns]
    facts: dict[str, object] = {n: [getattr(r, n) for r in requests] for n in names}
    if special:
        facts["now"] = now
    posted = (await db.execute(_EARN_SPECIAL if special else _EARN, facts)).all()
    owing = {(row.business_id, row.idempotency_key): row.tx_id for row in posted if row.owes}
    if owing:
        causes = [r for r in requests if (r.business_id, r.idempotency_key) in owing]
        names = ["member_id", "unit", "occurred_at", "business_date"]
        facts = {n: [getattr(r, n) for r in causes] for n in names}
        facts["tx_id"] = [owing[r.business_id, r.idempotency_key] for r in causes]
        await db.execute(_SETTLE, facts)
    return {(row.business_id, row.idempotency_key): row.tx_id for row in posted}
