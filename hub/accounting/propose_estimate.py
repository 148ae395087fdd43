"""Propose an estimate of how many points will be redeemed; somebody else approves it."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.checks import first_of_month
from hub.accounting.estimates import COLUMNS, Estimate, estimate_of
from hub.errors import Malformed, NotFound
from hub.ledger.codes import Unit
from hub.points.checks import named, reasoned

_FINEST = Decimal("1e-8")
METHODS = ("stated", "history")


async def propose_estimate(
    db: AsyncConnection,
    *,
    issuer_id: int,
    rate: Decimal,
    effective_from: date,
    maker: str,
    reason: str,
    now: datetime,
    cohort: date | None = None,
    low: Decimal | None = None,
    high: Decimal | None = None,
    method: str = "stated",
    unit: int = Unit.SPENDABLE,
) -> Estimate:
    """Propose that `rate` of the points issued will be redeemed, from `effective_from` on.

    Of a `cohort` (a month, by its first day) or, without one, of all without an estimate of their
    own. The same proposal again, while it waits, is one. Raises Malformed for a rate that is none
    and NotFound for an issuer that is none.
    """
    named(maker, field="maker")
    reasoned(reason)
    if cohort is not None:
        first_of_month(cohort, field="cohort")
    for field, value in (("rate", rate), ("low", low), ("high", high)):
        _fraction(value, field=field)
    if rate <= 0:
        raise Malformed("some points are expected to be redeemed: a rate is above 0", field="rate")
    if (low is not None and low > rate) or (high is not None and high < rate):
        raise Malformed("the rate must lie within its bounds", field="rate")
    if method not in METHODS:
        raise Malformed(f"{method!r} is neither of {' and '.join(METHODS)}", field="method")
    said = {
        "issuer_id": issuer_id,
        "unit": unit,
        "cohort": cohort,
        "effective_from": effective_from,
        "rate": rate,
        "low": low,
        "high": high,
        "method": method,
        "maker": maker,
        "reason": reason,
    }
    known = await db.scalar(
        text("SELECT 1 FROM business WHERE business_id = :id FOR UPDATE"), {"id": issuer_id}
    )
    if known is None:
        raise NotFound(f"there is no business {issuer_id}", field="issuer_id")
    same = " AND ".join(f"{name} IS NOT DISTINCT FROM :{name}" for name in said)
    waiting = await db.execute(
        text(f"SELECT {COLUMNS} FROM redemption_estimate WHERE state = 'proposed' AND {same}"),  # noqa: S608
        said,
    )
    row = waiting.first()
    if row is None:
        names = ", ".join(said)
        marks = ", ".join(f":{name}" for name in said)
        made = await db.execute(
            text(f"""
              INSERT INTO redemption_estimate ({names}, proposed_at) VALUES ({marks}, :now)
              RETURNING {COLUMNS}"""),  # noqa: S608
            {**said, "now": now},
        )
        row = made.one()
    return estimate_of(row)


def _fraction(value: Decimal | None, *, field: str) -> None:
    if value is not None and not (
        value.is_finite() and 0 <= value <= 1 and value == value.quantize(_FINEST)
    ):
        raise Malformed(
            "a rate is a fraction from 0 to 1, with up to 8 decimals: 0.8 is eighty per cent",
            field=field,
        )
