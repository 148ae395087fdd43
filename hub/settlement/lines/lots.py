"""Lines of consumed lots: what their owner owes whoever took them."""

from collections.abc import Sequence
from typing import Any, NoReturn

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.programme.queries import businesses
from hub.settlement.codes import LineKind, Source
from hub.settlement.lines.ruled import RULED_LOTS
from hub.settlement.lines.terms import ISSUED_ON, TERMS, Slice
from hub.settlement.queries import Period

# What is still due is found by the absence of its line, never by a watermark: an entry that was
# not visible to the last close is simply still absent at this one. It is asked for line by line, by
# its key (OFFSET 0): lines are written too fast for the planner to know how many there are, and one
# that takes them for none would compare each entry with each line. A restoration is priced as what
# it gives back was, so that the two cancel whatever was agreed in between: as its line says, once
# there is one, and else by the version of that day. That is asked of each restoration by itself,
# once (OFFSET 0): joined, all redemptions there ever were would be read. What is due is kept apart
# (MATERIALIZED): beside what the planner thinks that asking costs, it takes every join for cheap,
# and would compare each line with each agreement.
_LOTS = f"""
WITH {TERMS}, due AS MATERIALIZED (
  SELECT e.*, CASE WHEN e.credit = 20 THEN e.points ELSE -e.points END AS signed,
    CASE WHEN e.credit = 20 THEN e.business_date ELSE given_back.business_date END AS priced_on,
    given_back.line AS before, {{owed_by}} AS debtor_id, {{issued_on}} AS issued_on
  FROM entry e
  LEFT JOIN LATERAL (
    SELECT redeemed.business_date, (SELECT o FROM obligation o
      WHERE o.tx_id = redeemed.tx_id AND o.seq = redeemed.seq AND o.kind = :kind
        AND o.source = :source AND o.member_id = redeemed.member_id) AS line
    FROM (SELECT ledger_kin(ARRAY[e.member_id]) AS ids OFFSET 0) kin
    JOIN ledger_transaction t ON t.member_id = ANY (kin.ids) AND t.tx_id = e.tx_id
      AND t.reference_tx IS NOT NULL
    JOIN entry redeemed ON redeemed.member_id = ANY (kin.ids)
      AND redeemed.tx_id = t.reference_tx AND redeemed.lot_id = e.lot_id
      AND redeemed.credit = 20
    WHERE e.debit = 20 OFFSET 0) given_back ON true
  {{sold}}
  WHERE 20 IN (e.debit, e.credit) AND {{owed_by}} <> e.business_id
    AND {{unruled}} AND {{visible}}
    AND NOT EXISTS (SELECT 1 FROM obligation o
      WHERE o.member_id = e.member_id AND o.tx_id = e.tx_id AND o.seq = e.seq
        AND o.kind = :kind AND o.source = :source OFFSET 0)
), priced AS MATERIALIZED (
  SELECT due.*, coalesce((before).agreement_id, t.agreement_id) AS agreement_id,
    coalesce((before).currency, t.currency) AS currency,
    coalesce((before).tax_code, t.tax_code) AS tax_code,
    coalesce((before).tax_rate, t.tax_rate) AS tax_rate,
    coalesce((before).tax_included, t.tax_included) AS tax_included,
    coalesce((before).rate, t.rate_per_point,
      CASE WHEN t.currency = issuer.currency THEN due.cost_rate END) AS rate
  FROM due JOIN business issuer ON issuer.business_id = due.issuer_id
  LEFT JOIN terms t ON (before).line_id IS NULL
    AND t.issuer_id = due.debtor_id AND t.acceptor_id = due.business_id
    AND due.priced_on >= t.effective_from AND due.priced_on < t.superseded_on
), placed AS (
  INSERT INTO obligation (member_id, source, tx_id, seq, kind, period_id, debtor_id, creditor_id,
      issuer_id, acceptor_id, account_id, points, rate, amount, currency, tax_code, tax_rate,
      tax_included, agreement_id, business_date, occurred_at, posted_at, late, issued_on)
  SELECT member_id, :source, tx_id, seq, :kind, :period_id, debtor_id, business_id, issuer_id,
    business_id, account_id, signed, rate, signed * rate, currency, tax_code, tax_rate,
    tax_included, agreement_id, business_date, occurred_at, posted_at, business_date < :starts_on,
    issued_on
  FROM priced WHERE rate IS NOT NULL
)
SELECT debtor_id, business_id AS acceptor_id, agreement_id, count(*) AS lines,
  count(*) FILTER (WHERE rate IS NULL) AS unpriced,
  false AS unknown_house, min(priced_on) FILTER (WHERE rate IS NULL) AS first_on,
  max(priced_on) FILTER (WHERE rate IS NULL) AS last_on
FROM priced GROUP BY debtor_id, business_id, agreement_id
ORDER BY debtor_id, business_id, agreement_id
"""  # noqa: S608 - constants of ours
# Pairs with rates by award, category or occupancy are asked for by themselves (ruled.py).
_UNRULED = """NOT EXISTS (SELECT 1 FROM ruled_pair p
  WHERE p.issuer_id = {owed_by} AND p.acceptor_id = e.business_id)"""
# Where no points are sold at issue, nothing of it is asked.
_OWED_BY_ISSUER = {"owed_by": "e.issuer_id", "issued_on": "CAST(NULL AS date)", "sold": ""}
_OWED_BY_OWNER = {
    "owed_by": "coalesce(sale.company_id, e.issuer_id)",
    "issued_on": "CASE WHEN sale.company_id IS NOT NULL THEN sold.issued_on END",
    "sold": f"""{ISSUED_ON}
  LEFT JOIN point_sale sale ON sale.issuer_id = e.issuer_id
    AND sold.issued_on >= sale.effective_from AND sold.issued_on < sale.superseded_on""",
}


async def place_lots(db: AsyncConnection, asked: Slice) -> int:
    """Write the missing lines of redemptions and restorations; return how many.

    Who owes a lot pays who took it: its issuer, or the company that sold it at issue, also
    where the issuer took it. Raises Rejected naming every pair that has no price.
    """
    facts = {**asked.facts, "kind": LineKind.REDEMPTION, "source": Source.ENTRY}
    shape = _OWED_BY_ISSUER
    if asked.buyers:
        shape = _OWED_BY_OWNER
        facts["buyers"] = asked.buyers
    unruled = _UNRULED.format(**shape) if asked.ruled else "true"
    query = _LOTS.format(visible=asked.seen, unruled=unruled, **shape)
    rows = list((await db.execute(text(query), facts)).all())
    if asked.ruled:
        query = RULED_LOTS.format(visible=asked.seen, **shape)
        rows += (await db.execute(text(query), facts)).all()
    unpriced = [row for row in rows if row.unpriced]
    if unpriced:
        await _refuse(db, asked.period, unpriced)
    return sum(row.lines for row in rows)


async def _refuse(db: AsyncConnection, period: Period, unpriced: Sequence[Row[Any]]) -> NoReturn:
    codes = {b.business_id: b.code for b in await businesses(db)}
    pairs = [f"{codes[row.debtor_id]}>{codes[row.acceptor_id]}" for row in unpriced]
    why = "; ".join(
        f"{pair}: {row.unpriced} lines from {row.first_on} to {row.last_on}, " + _why(row)
        for pair, row in zip(pairs, unpriced, strict=True)
    )
    raise Rejected(
        f"period {period.code} cannot be closed, it has redemptions without a price ({why}): "
        "apply agreements with a rate, effective from the first of these days, or state the "
        "occupancy, and close it again",
        period=period.code,
        pairs=pairs,
    )


def _why(row: Row[Any]) -> str:
    if row.agreement_id is None:
        return "no agreement in force"
    if row.unknown_house:
        return "the acceptor's occupancy is not stated"
    return "an agreement without a rate, in another currency than the points' cost"
