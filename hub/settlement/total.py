"""Total: what one business owes another for one thing, rounded once, with its tax."""

from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind
from hub.settlement.freeze_sales import freeze_sales
from hub.settlement.netting import round_to_minor
from hub.settlement.queries import Total
from hub.units import exponent

_SUMS = text("""
SELECT debtor_id, creditor_id, currency, kind, tax_code, tax_rate, tax_included,
  count(*) AS lines, sum(points)::bigint AS points, sum(amount) AS exact
FROM obligation WHERE period_id = :period_id
GROUP BY debtor_id, creditor_id, currency, kind, tax_code, tax_rate, tax_included
ORDER BY debtor_id, creditor_id, currency, kind, tax_code, tax_rate, tax_included
""")
_KEEP = text("""
INSERT INTO settlement_gross (period_id, debtor_id, creditor_id, currency, kind, tax_code, tax_rate,
  tax_included, lines, points, exact, rounding, net_minor, tax_minor, gross_minor)
VALUES (:period_id, :debtor_id, :creditor_id, :currency, :kind, :tax_code, :tax_rate, :tax_included,
  :lines, :points, :exact, :rounding, :net_minor, :tax_minor, :gross_minor)
""")


async def total(db: AsyncConnection, *, period_id: int) -> list[Total]:
    """Sum a closing period's lines and keep the totals, and what was paid for points at issue."""
    sums = await db.execute(_SUMS, {"period_id": period_id})
    totals = []
    for row in sums:
        rounded = round_to_minor(row.exact, row.currency)
        net, tax = split(row.exact, row.currency, rate=row.tax_rate, included=row.tax_included)
        totals.append(
            Total(
                **row._asdict(),
                rounding=Decimal(rounded).scaleb(-exponent(row.currency)) - row.exact,
                net_minor=net,
                tax_minor=tax,
                gross_minor=net + tax,
            )
        )
    if totals:
        names = Total.__dataclass_fields__
        await db.execute(
            _KEEP,
            [{"period_id": period_id, **{n: getattr(one, n) for n in names}} for one in totals],
        )
    if any(one.kind in (LineKind.ISSUE, LineKind.BREAKAGE) for one in totals):
        await freeze_sales(db, period_id=period_id)
    return totals


def split(
    exact: Decimal, currency: str, *, rate: Decimal | None, included: bool | None
) -> tuple[int, int]:
    """Return net and tax of what was agreed, in minor units.

    What was agreed is rounded first, and is what is paid (tax included) or what tax comes on top
    of; the tax is rounded once and the other side is the difference, so that the three agree.
    """
    agreed = round_to_minor(exact, currency)
    if not rate:
        return agreed, 0
    major = Decimal(agreed).scaleb(-exponent(currency))
    if not included:
        return agreed, round_to_minor(major * rate, currency)
    net = round_to_minor(major / (1 + rate), currency)
    return net, agreed - net
