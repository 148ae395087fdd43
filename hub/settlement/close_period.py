"""Close a settlement period: what was accepted becomes what is owed, netted and stated."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.programme.queries import businesses
from hub.settlement.life import BY_ITSELF, asked_by, note_state
from hub.settlement.netting import (
    Gross,
    Net,
    net_bilaterally,
    net_multilaterally,
    round_to_minor,
)
from hub.settlement.open_period import TAKE_TURNS
from hub.settlement.queries import Period, net_positions, period_by_id
from hub.settlement.statement import write_statements
from hub.units import exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A period that stands in draft or later; `replayed` says it was closed before this call.

    `late` of its `lines` are of business dates before the period.
    """

    period: Period
    replayed: bool
    lines: int
    late: int
    net_positions: list[Net]


async def close(db: AsyncConnection, *, period_id: int, now: datetime) -> Closed:
    """Settle every redemption and restoration up to the period's last day not settled before.

    Of two at once, one closes and the other finds it closed. What is posted for these days
    afterwards, or is not committed yet, lands in the next period as late.

    Raises NotFound, and Rejected when an earlier period is still open or a line cannot be priced:
    the period is then still open, with nothing written.
    """
    async with db.begin_nested():
        await db.execute(TAKE_TURNS)
        period = await period_by_id(db, period_id)
        if period.state != "open":
            return await _closed(db, period, replayed=True)
        await _refuse_out_of_order(db, period)
        await _move(db, period_id, "closing", None)
        await _place_obligations(db, period)
        await _net(db, period_id)
        await write_statements(db, period=period, now=now)
        await _move(db, period_id, "draft", now)
        actor = next(iter(await asked_by(db, period_id)), BY_ITSELF)
        await note_state(db, period_id=period_id, state="draft", actor=actor, note=None, now=now)
        return await _closed(db, await period_by_id(db, period_id), replayed=False)


async def _refuse_out_of_order(db: AsyncConnection, period: Period) -> None:
    earlier = await db.scalar(
        text("""
          SELECT code FROM settlement_period WHERE state = 'open' AND starts_on < :starts_on
          ORDER BY starts_on LIMIT 1"""),
        {"starts_on": period.starts_on},
    )
    if earlier is not None:
        raise Rejected(
            f"period {earlier} is still open: close it first, or all of it would land in "
            f"{period.code} as late",
            period=earlier,
        )


async def _move(db: AsyncConnection, period_id: int, state: str, at: datetime | None) -> None:
    await db.execute(
        text("""
          UPDATE settlement_period SET state = :state, closed_at = :at
          WHERE period_id = :period_id"""),
        {"period_id": period_id, "state": state, "at": at},
    )


# What is still due is found by the absence of its line, never by a watermark: an entry that was
# not visible to the last close is simply still absent at this one. A restoration is priced as what
# it gives back was, so that the two cancel whatever was agreed in between.
_PLACE = text("""
WITH terms AS (
  SELECT agreement_id, issuer_id, acceptor_id, rate_per_point, currency, effective_from,
    lead(effective_from, 1, 'infinity') OVER (
      PARTITION BY issuer_id, acceptor_id ORDER BY effective_from) AS superseded_on
  FROM agreement
), due AS (
  SELECT e.*, CASE WHEN e.credit = 20 THEN e.points ELSE -e.points END AS signed,
    CASE WHEN e.credit = 20 THEN e.business_date ELSE redeemed.business_date END AS priced_on
  FROM entry e
  LEFT JOIN LATERAL (SELECT ledger_kin(ARRAY[e.member_id]) AS ids WHERE e.debit = 20) kin ON true
  LEFT JOIN ledger_transaction given_back ON e.debit = 20
    AND given_back.member_id = ANY (kin.ids) AND given_back.tx_id = e.tx_id
    AND given_back.reference_tx IS NOT NULL
  LEFT JOIN entry redeemed ON redeemed.member_id = ANY (kin.ids)
    AND redeemed.tx_id = given_back.reference_tx AND redeemed.lot_id = e.lot_id
    AND redeemed.credit = 20
  WHERE 20 IN (e.debit, e.credit) AND e.issuer_id <> e.business_id
    AND e.business_date <= :ends_on
    AND NOT EXISTS (SELECT 1 FROM obligation o
      WHERE o.member_id = e.member_id AND o.tx_id = e.tx_id AND o.seq = e.seq)
), priced AS MATERIALIZED (
  SELECT due.*, t.agreement_id, t.currency,
    CASE WHEN t.rate_per_point IS NOT NULL THEN t.rate_per_point
      WHEN t.currency = issuer.currency THEN due.cost_rate END AS rate
  FROM due JOIN business issuer ON issuer.business_id = due.issuer_id
  LEFT JOIN terms t ON t.issuer_id = due.issuer_id AND t.acceptor_id = due.business_id
    AND due.priced_on >= t.effective_from AND due.priced_on < t.superseded_on
), placed AS (
  INSERT INTO obligation (member_id, tx_id, seq, period_id, issuer_id, acceptor_id, account_id,
      points, rate, amount, currency, agreement_id, business_date, occurred_at, posted_at, late)
  SELECT member_id, tx_id, seq, :period_id, issuer_id, business_id, account_id,
    signed, rate, signed * rate, currency, agreement_id, business_date, occurred_at, posted_at,
    business_date < :starts_on
  FROM priced WHERE rate IS NOT NULL
)
SELECT issuer_id, business_id AS acceptor_id, agreement_id, count(*) AS lines,
  min(priced_on) AS first_on, max(priced_on) AS last_on
FROM priced WHERE rate IS NULL
GROUP BY issuer_id, business_id, agreement_id ORDER BY issuer_id, business_id, agreement_id
""")


async def _place_obligations(db: AsyncConnection, period: Period) -> None:
    """Write a line per consumed lot; raise Rejected naming every pair that has no price."""
    facts = {
        "period_id": period.period_id,
        "starts_on": period.starts_on,
        "ends_on": period.ends_on,
    }
    unpriced = (await db.execute(_PLACE, facts)).all()
    if not unpriced:
        return
    codes = {b.business_id: b.code for b in await businesses(db)}
    pairs = [f"{codes[row.issuer_id]}>{codes[row.acceptor_id]}" for row in unpriced]
    why = "; ".join(
        f"{pair}: {row.lines} lines from {row.first_on} to {row.last_on}, "
        + (
            "no agreement in force"
            if row.agreement_id is None
            else "an agreement without a rate, in another currency than the points' cost"
        )
        for pair, row in zip(pairs, unpriced, strict=True)
    )
    raise Rejected(
        f"period {period.code} cannot be closed, it has redemptions without a price ({why}): "
        "apply agreements with a rate, effective from the first of these days, and close it again",
        period=period.code,
        pairs=pairs,
    )


async def _net(db: AsyncConnection, period_id: int) -> None:
    """Write the period's gross totals, each rounded once, and what netting makes of them."""
    sums = await db.execute(
        text("""
          SELECT issuer_id, acceptor_id, currency, count(*) AS lines, sum(points)::bigint AS points,
            sum(amount) AS exact
          FROM obligation WHERE period_id = :period_id
          GROUP BY issuer_id, acceptor_id, currency ORDER BY issuer_id, acceptor_id, currency"""),
        {"period_id": period_id},
    )
    totals = []
    for row in sums:
        gross_minor = round_to_minor(row.exact, row.currency)
        rounding = Decimal(gross_minor).scaleb(-exponent(row.currency)) - row.exact
        totals.append({**row._asdict(), "gross_minor": gross_minor, "rounding": rounding})
    gross = [
        Gross(**{name: total[name] for name in Gross.__dataclass_fields__}) for total in totals
    ]
    pairs = [
        {
            "debtor_id": pair.debtor_id,
            "creditor_id": pair.creditor_id,
            "currency": pair.currency,
            "owed_minor": pair.owed_minor,
            "counter_minor": pair.counter_minor,
            "net_minor": pair.net_minor,
        }
        for pair in net_bilaterally(gross)
    ]
    nets = [
        {"business_id": n.business_id, "currency": n.currency, "net_minor": n.net_minor}
        for n in net_multilaterally(gross)
    ]
    await _insert(db, "settlement_gross", period_id, totals)
    await _insert(db, "bilateral", period_id, pairs)
    await _insert(db, "net_position", period_id, nets)


async def _insert(
    db: AsyncConnection, table: str, period_id: int, rows: list[dict[str, object]]
) -> None:
    if rows:
        names = ", ".join(rows[0])
        marks = ", ".join(f":{name}" for name in rows[0])
        await db.execute(
            text(f"INSERT INTO {table} (period_id, {names}) VALUES (:period_id, {marks})"),  # noqa: S608
            [{"period_id": period_id, **row} for row in rows],
        )


async def _closed(db: AsyncConnection, period: Period, *, replayed: bool) -> Closed:
    counts = (
        await db.execute(
            text("""
              SELECT count(*) AS lines, count(*) FILTER (WHERE late) AS late
              FROM obligation WHERE period_id = :period_id"""),
            {"period_id": period.period_id},
        )
    ).one()
    nets = await net_positions(db, period_ids=[period.period_id])
    return Closed(
        period=period,
        replayed=replayed,
        lines=counts.lines,
        late=counts.late,
        net_positions=nets[period.period_id],
    )
