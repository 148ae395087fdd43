"""Statement: what a business is told about a period, as CSV (RFC 4180, UTF-8).

One flat table whose first columns repeat, so that it can be filtered and summed as it is. Amounts
are in major units, seen from the business: positive it receives, negative it pays. The amounts of
the records `line`, `rounding` and `tax` sum, per currency, to that of the record `net`; `gross` and
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
from hub.settlement.codes import LineKind
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
            gross=[t for t in gross if business_id in (t.debtor_id, t.creditor_id)],
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

    def _between(self, debtor_id: int, creditor_id: int, kind: int) -> tuple[int, Record]:
        """Return the sign with which the business sees what is owed, and between whom for what.

        Who owes stands as issuer and who is owed as acceptor: they are that for consumed lots.
        """
        sign = 1 if creditor_id == self._business_id else -1
        names: Record = {
            "issuer": self._codes[debtor_id],
            "acceptor": self._codes[creditor_id],
        }
        if kind != LineKind.REDEMPTION:
            names["note"] = LineKind(kind).name.lower()
        return sign, names

    def heading(self) -> Record:
        """Say which days the statement covers (an ISO 8601 interval, both inclusive)."""
        days = f"{self._period.starts_on}/{self._period.ends_on}"
        return self._record("period", note=f"business dates {days}")

    def line(self, line: Obligation) -> Record:
        """Say what one consumed lot obliges to, with its receipt."""
        sign, names = self._between(line.debtor_id, line.creditor_id, line.kind)
        return self._record(
            "line",
            **names,
            currency=line.currency,
            amount=_exact(sign * line.amount, line.currency),
            points=line.points,
            rate="" if line.rate is None else f"{line.rate.normalize():f}",
            business_date=line.business_date,
            occurred_at=line.occurred_at.isoformat(),
            posted_at=line.posted_at.isoformat(),
            late="late" if line.late else "",
            receipt=line.tx_id,
            receipt_line=line.seq,
            account="" if line.account_id is None else line.account_id,
            agreement="" if line.agreement_id is None else line.agreement_id,
        )

    def total(self, total: Total) -> Iterator[Record]:
        """Say what the lines between two businesses come to, and what rounding added."""
        sign, names = self._between(total.debtor_id, total.creditor_id, total.kind)
        what = names.pop("note", None)
        shared = {**names, "currency": total.currency}
        rounding = _exact(sign * total.rounding, total.currency)
        gross = Money(sign * total.gross_minor, total.currency)
        tax = Money(sign * total.tax_minor, total.currency)
        said = [] if what is None else [str(what)]
        yield self._record(
            "rounding",
            **shared,
            amount=rounding,
            note=", ".join([*said, "half-even, once per total"]),
        )
        if total.tax_rate is not None:
            percent = f"{total.tax_rate * 100:f}".rstrip("0").rstrip(".")
            told = f"{total.tax_code} {percent}%"
            if total.tax_included:
                said.append(f"{told} included: {tax}")
            else:
                note = ", ".join([*said, told])
                yield self._record("tax", **shared, amount=tax, note=note)
        note = ", ".join(said)
        yield self._record("gross", **shared, amount=gross, points=total.points, note=note)

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
