"""Fix dues: of a period that is being approved, what is to be paid now, and what is held back."""

from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.queries import Period, Total, totals
from hub.settlement.total import split

_Key = tuple[int, int, str, int, str | None, Decimal | None, bool | None]

# What was upheld before the approval is wrong, and is not paid either.
_PARTS = text("""
SELECT d.dispute_id, o.debtor_id, o.creditor_id, o.currency, o.kind, o.tax_code, o.tax_rate,
  o.tax_included, count(*) AS lines, sum(o.points)::bigint AS points, sum(o.amount) AS exact
FROM dispute d JOIN dispute_line USING (dispute_id) JOIN obligation o USING (line_id)
WHERE d.period_id = :period_id AND d.state IN ('open', 'upheld')
GROUP BY d.dispute_id, o.debtor_id, o.creditor_id, o.currency, o.kind, o.tax_code, o.tax_rate,
  o.tax_included
ORDER BY d.dispute_id, o.kind, o.tax_code, o.tax_rate, o.tax_included
""")
_HOLD = text("""
INSERT INTO dispute_held (dispute_id, seq, kind, tax_code, tax_rate, tax_included, lines, points,
  exact, net_minor, tax_minor, gross_minor)
VALUES (:dispute_id, :seq, :kind, :tax_code, :tax_rate, :tax_included, :lines, :points, :exact,
  :net_minor, :tax_minor, :gross_minor)
""")
_DUE = text("""
INSERT INTO settlement_due (period_id, debtor_id, creditor_id, currency, gross_minor,
  disputed_minor, carried_in_minor, due_minor)
SELECT period_id, debtor_id, creditor_id, currency, gross, coalesce(held, 0), carried,
  gross - coalesce(held, 0)
FROM (SELECT period_id, debtor_id, creditor_id, currency, sum(gross_minor) AS gross,
    coalesce(sum(gross_minor) FILTER (WHERE kind = 10), 0) AS carried
  FROM settlement_gross WHERE period_id = :period_id GROUP BY 1, 2, 3, 4) totals
LEFT JOIN (SELECT debtor_id, creditor_id, currency, sum(gross_minor) AS held
  FROM dispute JOIN dispute_held USING (dispute_id) WHERE period_id = :period_id
  GROUP BY 1, 2, 3) held USING (debtor_id, creditor_id, currency)
""")


async def fix_dues(db: AsyncConnection, *, period: Period) -> None:
    """Write what a locked draft comes to once its disputed lines are set aside.

    What is left of a total is its undisputed lines, rounded and taxed as any total; each dispute
    holds back by how much less that is, so that no minor unit is lost between them.
    """
    of_period = (await totals(db, period_ids=[period.period_id]))[period.period_id]
    left: dict[_Key, tuple[Decimal, int, int]] = {
        _key(total): (total.exact, total.net_minor, total.tax_minor) for total in of_period
    }
    holds: list[dict[str, object]] = []
    for part in (await db.execute(_PARTS, {"period_id": period.period_id})).all():
        key = (part.debtor_id, part.creditor_id, part.currency, part.kind, part.tax_code,
            part.tax_rate, part.tax_included)  # fmt: skip
        exact, net, tax = left[key]
        exact -= part.exact
        left[key] = (
            exact,
            *split(exact, part.currency, rate=part.tax_rate, included=part.tax_included),
        )
        facts = part._asdict()
        facts["seq"] = sum(hold["dispute_id"] == part.dispute_id for hold in holds)
        facts["net_minor"], facts["tax_minor"] = net - left[key][1], tax - left[key][2]
        facts["gross_minor"] = facts["net_minor"] + facts["tax_minor"]
        holds.append(facts)
    if holds:
        await db.execute(_HOLD, holds)
    await db.execute(_DUE, {"period_id": period.period_id})


def _key(total: Total) -> _Key:
    return (total.debtor_id, total.creditor_id, total.currency, total.kind, total.tax_code,
        total.tax_rate, total.tax_included)  # fmt: skip
