"""A statement as CSV (RFC 4180, UTF-8): one flat table that can be filtered and summed as it is.

The amounts of the records `line`, `rounding` and `tax` sum, per currency, to that of the record
`net`; `gross` and `bilateral` are subtotals on the way. A tax that is included is told in the note
of `gross`.
"""

import csv
import json
from collections.abc import Iterator
from io import StringIO

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.documents.lines import COLUMNS, Sink, copy_lines
from hub.settlement.documents.truth import Body
from hub.settlement.queries import Statement

Record = dict[str, object]


async def write_csv(db: AsyncConnection, *, statement: Statement, sink: Sink) -> None:
    """Give a statement to `sink` as CSV, some rows at a time.

    One from before there was a body is given as it was issued.
    """
    if statement.body is None:
        await sink(statement.csv or b"")
        return
    body: Body = json.loads(statement.body)
    period = body["period"]
    heading = f"business dates {period['starts_on']}/{period['ends_on']}"
    await sink(_rows(body, iter([{"record": "period", "note": heading}]), header=True))
    await copy_lines(
        db, period_id=statement.period_id, business_id=statement.business_id, sink=sink
    )
    await sink(_rows(body, _sums(body), header=False))


def _rows(body: Body, records: Iterator[Record], *, header: bool) -> bytes:
    out = StringIO(newline="")
    sheet = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\r\n")
    if header:
        sheet.writeheader()
    same = {"period": body["period"]["code"], "business": body["business"]}
    sheet.writerows({**same, **record} for record in records)
    return out.getvalue().encode()


def _sums(body: Body) -> Iterator[Record]:
    for total in body["totals"]:
        shared = {
            "issuer": total["debtor"],
            "acceptor": total["creditor"],
            "currency": total["currency"],
            "kind": total["kind"],
            "tax": total["tax_name"],
        }
        note = "half-even, once per total"
        yield {**shared, "record": "rounding", "amount": total["rounding"], "note": note}
        note = ""
        if total["tax_included"]:
            note = f"tax included: {total['tax']}"
        elif total["tax_name"]:
            yield {**shared, "record": "tax", "amount": total["tax"]}
        gross = {"amount": total["gross"], "points": total["points"], "note": note}
        yield {**shared, "record": "gross", **gross}
    for pair in body["pairs"]:
        yield {
            "record": "bilateral",
            "currency": pair["currency"],
            "amount": pair["net"],
            "note": f"with {pair['counterparty']}",
        }
    for net in body["nets"]:
        yield {"record": "net", "currency": net["currency"], "amount": net["amount"]}
