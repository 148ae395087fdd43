"""A statement's lines as CSV, written by the database: the same bytes for ever.

Lines are not stored twice. They are copied out of the obligations, which never change, and the
statement names their digest. `FORMAT` names this form: what is written here never changes under the
same number.
"""

import hashlib
from collections.abc import Awaitable, Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.units import exponent

FORMAT = 1
COLUMNS = (
    "period", "business", "record", "issuer", "acceptor", "currency", "amount", "points", "rate",
    "business_date", "occurred_at", "posted_at", "late", "receipt", "receipt_line", "account",
    "agreement", "note",
)  # fmt: skip

Sink = Callable[[bytes], Awaitable[None]]

# Amounts with at least the currency's decimals, and no trailing zeros beyond. Times in UTC.
_LINES = """
SELECT p.code, b.code, 'line', issuer.code, acceptor.code, o.currency,
  round(signed.amount, greatest(scale(trim_scale(signed.amount)), {places})), o.points,
  trim_scale(o.rate), to_char(o.business_date, 'YYYY-MM-DD'),
  to_char(o.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ'),
  to_char(o.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ'),
  CASE WHEN o.late THEN 'late' END, o.tx_id, o.seq, o.account_id, o.agreement_id, NULL
FROM obligation o
JOIN settlement_period p USING (period_id)
JOIN business b ON b.business_id = $2
JOIN business issuer ON issuer.business_id = o.issuer_id
JOIN business acceptor ON acceptor.business_id = o.acceptor_id
CROSS JOIN LATERAL (
  SELECT CASE WHEN o.acceptor_id = $2 THEN o.amount ELSE -o.amount END AS amount) signed
WHERE o.period_id = $1 AND $2 IN (o.issuer_id, o.acceptor_id)
ORDER BY o.business_date, o.tx_id, o.seq"""


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
        _LINES.format(places=places), period_id, business_id, output=output, format="csv"
    )


async def digest_lines(db: AsyncConnection, *, period_id: int, business_id: int) -> bytes:
    """Return the SHA-256 of a business's lines."""
    digest = hashlib.sha256()

    async def sink(rows: bytes) -> None:
        digest.update(rows)

    await copy_lines(db, period_id=period_id, business_id=business_id, sink=sink)
    return digest.digest()
