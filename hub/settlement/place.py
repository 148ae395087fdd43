"""Place: write the lines of what is due: each consumed lot, benefit used and correction."""

from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.programme.queries import businesses
from hub.settlement.codes import LineKind, Source
from hub.settlement.place_corrections import place_corrections
from hub.settlement.queries import Period
from hub.units import exponent

_TERMS = """
terms AS (
  SELECT g.agreement_id, g.issuer_id, g.acceptor_id, g.rate_per_point, g.currency,
    g.effective_from, lead(g.effective_from, 1, 'infinity') OVER (
      PARTITION BY g.issuer_id, g.acceptor_id ORDER BY g.effective_from) AS superseded_on,
    x.tax_code, x.tax_rate, x.tax_included
  FROM agreement g
  LEFT JOIN agreement_tax x ON x.agreement_id = g.agreement_id AND x.kind = :kind
)"""
# What is still due is found by the absence of its line, never by a watermark: an entry that was
# not visible to the last close is simply still absent at this one. A restoration is priced as what
# it gives back was, so that the two cancel whatever was agreed in between. Whose it was is asked in
# a CASE: as a condition it would be asked of every redemption first, which took most of the time.
_LOTS = f"""
WITH {_TERMS}, due AS (
  SELECT e.*, CASE WHEN e.credit = 20 THEN e.points ELSE -e.points END AS signed,
    CASE WHEN e.credit = 20 THEN e.business_date ELSE redeemed.business_date END AS priced_on
  FROM entry e
  CROSS JOIN LATERAL (
    SELECT CASE WHEN e.debit = 20 THEN ledger_kin(ARRAY[e.member_id]) END AS ids) kin
  LEFT JOIN ledger_transaction given_back ON e.debit = 20
    AND given_back.member_id = ANY (kin.ids) AND given_back.tx_id = e.tx_id
    AND given_back.reference_tx IS NOT NULL
  LEFT JOIN entry redeemed ON redeemed.member_id = ANY (kin.ids)
    AND redeemed.tx_id = given_back.reference_tx AND redeemed.lot_id = e.lot_id
    AND redeemed.credit = 20
  WHERE 20 IN (e.debit, e.credit) AND e.issuer_id <> e.business_id
    AND {{visible}}
    AND NOT EXISTS (SELECT 1 FROM obligation o
      WHERE o.member_id = e.member_id AND o.tx_id = e.tx_id AND o.seq = e.seq
        AND o.kind = :kind AND o.source = :source)
), priced AS MATERIALIZED (
  SELECT due.*, t.agreement_id, t.currency, t.tax_code, t.tax_rate, t.tax_included,
    CASE WHEN t.rate_per_point IS NOT NULL THEN t.rate_per_point
      WHEN t.currency = issuer.currency THEN due.cost_rate END AS rate
  FROM due JOIN business issuer ON issuer.business_id = due.issuer_id
  LEFT JOIN terms t ON t.issuer_id = due.issuer_id AND t.acceptor_id = due.business_id
    AND due.priced_on >= t.effective_from AND due.priced_on < t.superseded_on
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      issuer_id, acceptor_id, account_id, points, rate, amount, currency, tax_code, tax_rate,
      tax_included, agreement_id, business_date, occurred_at, posted_at, late)
  SELECT member_id, :source, tx_id, seq, :kind, :period_id, issuer_id, business_id, issuer_id,
    business_id, account_id, signed, rate, signed * rate, currency, tax_code, tax_rate,
    tax_included, agreement_id, business_date, occurred_at, posted_at, business_date < :starts_on
  FROM priced WHERE rate IS NOT NULL
)
SELECT issuer_id, business_id AS acceptor_id, agreement_id, count(*) AS lines,
  count(*) FILTER (WHERE rate IS NULL) AS unpriced,
  min(priced_on) FILTER (WHERE rate IS NULL) AS first_on,
  max(priced_on) FILTER (WHERE rate IS NULL) AS last_on
FROM priced GROUP BY issuer_id, business_id, agreement_id
ORDER BY issuer_id, business_id, agreement_id
"""  # noqa: S608 - constants of ours
# What this transaction wrote itself is seen by it, though no snapshot says so; and what is read
# here with a number that this cluster has not given out yet came from another one, before any.
_SEEN = """(
  pg_visible_in_snapshot(e.xact::text::xid8, CAST(CAST(:snapshot AS text) AS pg_snapshot))
  OR e.xact = txid_current()
  OR e.xact >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)"""
# The price of a use is fixed when it is used: an agreement between its funder and who served it
# says only how it is taxed, and there need be none.
_BENEFITS = f"""
WITH {_TERMS}, used AS (
  SELECT u.*, ((u.used_at AT TIME ZONE b.time_zone)
    - make_interval(hours => b.day_starts_at_hour))::date AS business_date
  FROM entitlement_use u JOIN business b USING (business_id)
  WHERE u.outcome = 'used' AND u.funder_id <> u.business_id AND u.price_minor <> 0
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      points, amount, currency, tax_code, tax_rate, tax_included, agreement_id, business_date,
      occurred_at, posted_at, late)
  SELECT e.member_id, :source, e.use_id, 0, :kind, :period_id, e.funder_id, e.business_id,
    0, e.price_minor / power(10::numeric, x.exponent), e.currency, t.tax_code, t.tax_rate,
    t.tax_included, t.agreement_id, e.business_date, e.used_at, e.used_at,
    e.business_date < :starts_on
  FROM used e
  JOIN unnest(CAST(:currencies AS text[]), CAST(:exponents AS integer[]))
    AS x (currency, exponent) ON x.currency = e.currency
  LEFT JOIN terms t ON t.issuer_id = e.funder_id AND t.acceptor_id = e.business_id
    AND t.currency = e.currency
    AND e.business_date >= t.effective_from AND e.business_date < t.superseded_on
  WHERE {{visible}} AND NOT EXISTS (SELECT 1 FROM obligation o
    WHERE o.member_id = e.member_id AND o.tx_id = e.use_id AND o.seq = 0
      AND o.kind = :kind AND o.source = :source)
  RETURNING 1
)
SELECT count(*) FROM placed
"""  # noqa: S608 - constants of ours


async def place(
    db: AsyncConnection,
    *,
    period: Period,
    from_date: date | None,
    to_date: date,
    snapshot: str | None = None,
) -> int:
    """Write the lines of these business dates that are missing; return how many.

    Without `from_date`, of all dates up to `to_date`. With a `snapshot` (pg_snapshot as text),
    only entries that it sees; a use of a benefit is placed whenever it is seen. The same days
    again, in whatever slices and order, add nothing.

    Raises Rejected naming every pair that has no price: nothing is then written.
    """
    facts: dict[str, Any] = {"period_id": period.period_id, "starts_on": period.starts_on}
    facts["to_date"] = to_date
    visible = ["e.business_date <= :to_date"]
    if from_date is not None:
        visible.append("e.business_date >= :from_date")
        facts["from_date"] = from_date
    days = " AND ".join(visible)
    async with db.begin_nested():
        return (
            await _place_lots(db, period, days, facts, snapshot)
            + await _place_benefits(db, days, facts)
            + await place_corrections(db, days=days, facts=facts)
        )


async def _place_lots(
    db: AsyncConnection, period: Period, days: str, facts: dict[str, Any], snapshot: str | None
) -> int:
    facts = {**facts, "kind": LineKind.REDEMPTION, "source": Source.ENTRY}
    visible = days
    if snapshot is not None:
        facts["snapshot"] = snapshot
        visible += f" AND {_SEEN}"
    rows = (await db.execute(text(_LOTS.format(visible=visible)), facts)).all()
    unpriced = [row for row in rows if row.unpriced]
    if not unpriced:
        return sum(row.lines for row in rows)
    codes = {b.business_id: b.code for b in await businesses(db)}
    pairs = [f"{codes[row.issuer_id]}>{codes[row.acceptor_id]}" for row in unpriced]
    why = "; ".join(
        f"{pair}: {row.unpriced} lines from {row.first_on} to {row.last_on}, "
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


async def _place_benefits(db: AsyncConnection, days: str, facts: dict[str, Any]) -> int:
    used = await db.scalars(text("SELECT DISTINCT currency FROM entitlement_use"))
    currencies = used.all()
    if not currencies:
        return 0
    facts = {
        **facts,
        "kind": LineKind.BENEFIT,
        "source": Source.USE,
        "currencies": currencies,
        "exponents": [exponent(currency) for currency in currencies],
    }
    placed: int = await db.scalar(text(_BENEFITS.format(visible=days)), facts) or 0
    return placed
