"""A statement's lines as CSV, written by the database: the same bytes for ever.

Lines are not stored twice. They are copied out of the obligations, which never change, and the
statement names their digest. `FORMAT` names this form: what is written here never changes under the
same number.
"""

import hashlib
from collections.abc import Awaitable, Callable
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.codes import LineKind
from hub.units import exponent

FORMAT = 1
COLUMNS = (
    "period", "business", "record", "issuer", "acceptor", "currency", "amount", "points", "rate",
    "business_date", "occurred_at", "posted_at", "late", "receipt", "receipt_line", "account",
    "agreement", "kind", "tax", "note",
)  # fmt: skip
"""Who owes stands as issuer and who is owed as acceptor: they are that for consumed lots."""

Sink = Callable[[bytes], Awaitable[None]]

# Amounts with at least the currency's decimals, and no trailing zeros beyond. Times in UTC. The
# tax is written as `tax_name` writes it.
_LINES = """
SELECT p.code, b.code, 'line', debtor.code, creditor.code, o.currency,
  round(signed.amount, greatest(scale(trim_scale(signed.amount)), {places})), o.points,
  trim_scale(o.rate), to_char(o.business_date, 'YYYY-MM-DD'),
  to_char(o.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ'),
  to_char(o.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ'),
  CASE WHEN o.late THEN 'late' END, o.tx_id, o.seq, o.account_id, o.agreement_id,
  CASE o.kind {kinds} END,
  o.tax_code || ' ' || trim_scale(o.tax_rate * 100) || '%'
    || CASE WHEN o.tax_included THEN ' included' ELSE '' END, NULL
FROM obligation o
JOIN settlement_period p USING (period_id)
JOIN business b ON b.business_id = $2
JOIN business debtor ON debtor.business_id = o.debtor_id
JOIN business creditor ON creditor.business_id = o.creditor_id
CROSS JOIN LATERAL (
  SELECT CASE WHEN o.creditor_id = $2 THEN o.amount ELSE -o.amount END AS amount) signed
WHERE o.period_id = $1 AND $2 IN (o.debtor_id, o.creditor_id)
ORDER BY o.business_date, o.tx_id, o.seq, o.line_id"""
_KINDS = " ".join(f"WHEN {kind.value} THEN '{kind.name.lower()}'" for kind in LineKind)


def tax_name(code: str | None, rate: Decimal | None, *, included: bool | None) -> str:
    """Write a tax in one text: its code, its rate in per cent, and whether it is included."""
    if rate is None:
        return ""
    percent = f"{rate * 100:f}"
    if "." in percent:
        percent = percent.rstrip("0").rstrip(".")
    return f"{code} {percent}%{' included' if included else ''}"


async def copy_lines(db: AsyncConnection, *, period_id: int, business_id: int, sink: Sink) -> None:
    """Give a business's lines of a period to `sink`, some rows at a time, lines ended by CR LF."""
    currencies = await db.scalars(
        text("SELECT DISTINCT currency FROM settlement_gross WHERE period_id = :id ORDER BY 1"),
        {"id": period_id},
    )
    cases = [f"WHEN '{currency}' THEN {exponent(currency)}" for currency in currencies.all()]
    places = f"CASE o.currency {' '.join(cases)} END" if cases else "2"

    async def output(rows: bytes) -> None:
        # No field holds a line break, so that this only ends lines as RFC 4180 has it.
        await sink(bytes(rows).replace(b"\n", b"\r\n"))

    held = await db.get_raw_connection()
    driver = held.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    await driver.copy_from_query(
        _LINES.format(places=places, kinds=_KINDS),
        period_id,
        business_id,
        output=output,
        format="csv",
    )


async def digest_lines(db: AsyncConnection, *, period_id: int, business_id: int) -> bytes:
    """Return the SHA-256 of a business's lines."""
    digest = hashlib.sha256()

    async def sink(rows: bytes) -> None:
        digest.update(rows)

    await copy_lines(db, period_id=period_id, business_id=business_id, sink=sink)
    return digest.digest()
