"""Statement: what a business is told about a period, as CSV (RFC 4180, UTF-8).

One flat table whose first columns repeat, so that it can be filtered and summed as it is. Amounts
are in major units, seen from the business: positive it receives, negative it pays. The amounts of
the records `line` and `rounding` sum, per currency, to that of the record `net`; `gross` and
`bilateral` are subtotals on the way. A statement depends on nothing but its period's contents.
"""

import csv
import hashlib
from collections.abc import AsyncIterable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from io import StringIO

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.programme.queries import businesses
from hub.settlement.netting import Bilateral, Net
from hub.settlement.queries import (
    Obligation,
    Period,
    Total,
    bilaterals,
    net_positions,
    obligations,
    totals,
)
from hub.units import Money, exponent

COLUMNS = (
    "period", "business", "record", "issuer", "acceptor", "currency", "amount", "points", "rate",
    "business_date", "occurred_at", "posted_at", "late", "receipt", "receipt_line", "account",
    "agreement", "note",
)  # fmt: skip
PAGE_LINES = 5_000

Record = dict[str, object]


async def write_statements(db: AsyncConnection, *, period: Period, now: datetime) -> None:
    """Store the statement of every business of the group for a period whose totals stand.

    A business that had no part in it gets one that says so.
    """
    codes = {b.business_id: b.code for b in await businesses(db)}
    ids = [period.period_id]
    gross = (await totals(db, period_ids=ids))[period.period_id]
    pairs = (await bilaterals(db, period_ids=ids))[period.period_id]
    nets = (await net_positions(db, period_ids=ids))[period.period_id]
    for business_id in codes:
        told = await _render(
            _Teller(period, business_id, codes),
            lines=_lines(db, period.period_id, business_id),
            gross=[t for t in gross if business_id in (t.issuer_id, t.acceptor_id)],
            pairs=[b for b in pairs if business_id in (b.debtor_id, b.creditor_id)],
            nets=[n for n in nets if n.business_id == business_id],
        )
        await db.execute(
            text("""
              INSERT INTO statement (period_id, business_id, csv, sha256, created_at)
              VALUES (:period_id, :business_id, :csv, :sha256, :now)"""),
            {
                "period_id": period.period_id,
                "business_id": business_id,
                "csv": told,
                "sha256": hashlib.sha256(told).digest(),
                "now": now,
            },
        )


async def _lines(
    db: AsyncConnection, period_id: int, business_id: int
) -> AsyncIterable[Obligation]:
    after = None
    while True:
        page = await obligations(
            db, period_id=period_id, business_id=business_id, first=PAGE_LINES, after=after
        )
        for line in page:
            yield line
        if len(page) < PAGE_LINES:
            return
        after = page[-1].cursor


async def _render(
    teller: "_Teller",
    *,
    lines: AsyncIterable[Obligation],
    gross: Iterable[Total],
    pairs: Iterable[Bilateral],
    nets: Iterable[Net],
) -> bytes:
    out = StringIO(newline="")
    sheet = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\r\n")
    sheet.writeheader()
    sheet.writerow(teller.heading())
    async for line in lines:
        sheet.writerow(teller.line(line))
    for total in gross:
        sheet.writerows(teller.total(total))
    sheet.writerows(teller.pair(pair) for pair in pairs)
    sheet.writerows(teller.net(net) for net in nets)
    return out.getvalue().encode()


class _Teller:
    """Words a period's figures as one business sees them."""

    def __init__(self, period: Period, business_id: int, codes: dict[int, str]) -> None:
        self._codes = codes
        self._business_id = business_id
        self._period = period

    def _record(self, record: str, **facts: object) -> Record:
        business = self._codes[self._business_id]
        return {"period": self._period.code, "business": business, "record": record, **facts}

    def _between(self, issuer_id: int, acceptor_id: int) -> tuple[int, Record]:
        """Return the sign with which the business sees what the issuer owes, and the two names."""
        sign = 1 if acceptor_id == self._business_id else -1
        return sign, {"issuer": self._codes[issuer_id], "acceptor": self._codes[acceptor_id]}

    def heading(self) -> Record:
        """Say which days the statement covers (an ISO 8601 interval, both inclusive)."""
        days = f"{self._period.starts_on}/{self._period.ends_on}"
        return self._record("period", note=f"business dates {days}")

    def line(self, line: Obligation) -> Record:
        """Say what one consumed lot obliges to, with its receipt."""
        sign, names = self._between(line.issuer_id, line.acceptor_id)
        return self._record(
            "line",
            **names,
            currency=line.currency,
            amount=_exact(sign * line.amount, line.currency),
            points=line.points,
            rate=f"{line.rate.normalize():f}",
            business_date=line.business_date,
            occurred_at=line.occurred_at.isoformat(),
            posted_at=line.posted_at.isoformat(),
            late="late" if line.late else "",
            receipt=line.tx_id,
            receipt_line=line.seq,
            account=line.account_id,
            agreement=line.agreement_id,
        )

    def total(self, total: Total) -> Iterator[Record]:
        """Say what the lines between two businesses come to, and what rounding added."""
        sign, names = self._between(total.issuer_id, total.acceptor_id)
        rounding = _exact(sign * total.rounding, total.currency)
        gross = Money(sign * total.gross_minor, total.currency)
        shared = {**names, "currency": total.currency}
        yield self._record("rounding", **shared, amount=rounding, note="half-even, once per total")
        yield self._record("gross", **shared, amount=gross, points=total.points)

    def pair(self, pair: Bilateral) -> Record:
        """Say what is left between the business and another one after set-off."""
        sign, other = (
            (1, pair.debtor_id) if pair.creditor_id == self._business_id else (-1, pair.creditor_id)
        )
        return self._record(
            "bilateral",
            currency=pair.currency,
            amount=Money(sign * pair.net_minor, pair.currency),
            note=f"with {self._codes[other]}",
        )

    def net(self, net: Net) -> Record:
        """Say the one amount that the business receives or pays."""
        return self._record("net", currency=net.currency, amount=Money(net.net_minor, net.currency))


def _exact(amount: Decimal, currency: str) -> str:
    """Write an exact amount with at least the currency's decimals and no trailing zeros beyond."""
    whole, _, decimals = f"{amount + 0:f}".partition(".")  # + 0: a negative zero is a zero
    decimals = decimals.rstrip("0").ljust(exponent(currency), "0")
    return f"{whole}.{decimals}" if decimals else whole
