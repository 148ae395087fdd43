"""Compose: word a period's figures as one business sees them. Pure.

Amounts are texts in major units, seen from the business: positive it receives, negative it pays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from hub.settlement.codes import LineKind
from hub.settlement.documents.lines import FORMAT as LINES_FORMAT
from hub.settlement.documents.lines import tax_name
from hub.settlement.documents.party import Party
from hub.settlement.documents.truth import FORMAT, Body
from hub.settlement.funds import Fund
from hub.settlement.netting import Bilateral, Net
from hub.settlement.queries import Period, Total
from hub.units import Money, exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """What of a pair's lines is of business dates before the period."""

    debtor_id: int
    creditor_id: int
    currency: str
    kind: int
    lines: int
    points: int
    exact: Decimal
    first_on: date
    last_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that a statement says of a period; rows of other businesses are left out."""

    group: str
    period: Period
    parties: Mapping[int, Party]
    totals: Iterable[Total]
    pairs: Iterable[Bilateral]
    nets: Iterable[Net]
    late: Iterable[Late] = field(default=())
    funds: Iterable[Fund] = field(default=())


def exact_amount(amount: Decimal, currency: str) -> str:
    """Write an exact amount with at least the currency's decimals and no trailing zeros beyond."""
    whole, _, decimals = f"{amount + 0:f}".partition(".")  # + 0: a negative zero is a zero
    decimals = decimals.rstrip("0").ljust(exponent(currency), "0")
    return f"{whole}.{decimals}" if decimals else whole


def compose(
    figures: Figures, *, business_id: int, lines_sha256: bytes, stated_at: datetime
) -> Body:
    """Return the statement of one business."""
    parties, period = figures.parties, figures.period
    totals = [t for t in figures.totals if business_id in (t.debtor_id, t.creditor_id)]
    pairs = [p for p in figures.pairs if business_id in (p.debtor_id, p.creditor_id)]
    late = [row for row in figures.late if business_id in (row.debtor_id, row.creditor_id)]
    named = {business_id} | {t.debtor_id for t in totals} | {t.creditor_id for t in totals}
    funds = [f for f in figures.funds if business_id in (f.debtor_id, f.creditor_id)]
    body: Body = {
        "format": FORMAT,
        "group": figures.group,
        "period": {
            "code": period.code,
            "starts_on": period.starts_on.isoformat(),
            "ends_on": period.ends_on.isoformat(),
        },
        "stated_at": stated_at.isoformat(),
        "business": parties[business_id].code,
        "parties": {
            parties[i].code: {
                "name": parties[i].name,
                "legal_name": parties[i].legal_name,
                "country": parties[i].country,
            }
            for i in sorted(named)
        },
        "totals": [_total(t, business_id, parties) for t in totals],
        "late": [_late(row, business_id, parties) for row in late],
        "pairs": [_pair(p, business_id, parties) for p in pairs],
        "nets": [
            {"currency": n.currency, "amount": str(Money(n.net_minor, n.currency))}
            for n in figures.nets
            if n.business_id == business_id
        ],
        "lines": {
            "format": LINES_FORMAT,
            "count": sum(t.lines for t in totals),
            "late": sum(row.lines for row in late),
            "sha256": lines_sha256.hex(),
        },
    }
    # Named only where there is one, so that statements of before stay as they are.
    return {**body, "funds": [_fund(f, business_id, parties) for f in funds]} if funds else body


def _total(total: Total, business_id: int, parties: Mapping[int, Party]) -> Body:
    sign = 1 if total.creditor_id == business_id else -1

    def seen(minor: int) -> str:
        return str(Money(sign * minor, total.currency))

    return {
        "kind": LineKind(total.kind).name.lower(),
        "debtor": parties[total.debtor_id].code,
        "creditor": parties[total.creditor_id].code,
        "counterparty": _other(total.debtor_id, total.creditor_id, business_id, parties),
        "currency": total.currency,
        "lines": total.lines,
        "points": total.points,
        "exact": exact_amount(sign * total.exact, total.currency),
        "rounding": exact_amount(sign * total.rounding, total.currency),
        "tax_name": tax_name(total.tax_code, total.tax_rate, included=total.tax_included),
        "tax_included": bool(total.tax_included),
        "net": seen(total.net_minor),
        "tax": seen(total.tax_minor),
        "gross": seen(total.gross_minor),
    }


def _late(row: Late, business_id: int, parties: Mapping[int, Party]) -> Body:
    sign = 1 if row.creditor_id == business_id else -1
    return {
        "kind": LineKind(row.kind).name.lower(),
        "counterparty": _other(row.debtor_id, row.creditor_id, business_id, parties),
        "currency": row.currency,
        "lines": row.lines,
        "points": row.points,
        "exact": exact_amount(sign * row.exact, row.currency),
        "first_on": row.first_on.isoformat(),
        "last_on": row.last_on.isoformat(),
    }


def _fund(fund: Fund, business_id: int, parties: Mapping[int, Party]) -> Body:
    return {
        "counterparty": _other(fund.debtor_id, fund.creditor_id, business_id, parties),
        "currency": fund.currency,
        **{
            name: exact_amount(getattr(fund, name), fund.currency)
            for name in ("opening", "paid", "drawn", "closing")
        },
    }


def _pair(pair: Bilateral, business_id: int, parties: Mapping[int, Party]) -> Body:
    sides = (pair.owed_minor, pair.counter_minor)
    receivable, payable = sides if pair.creditor_id == business_id else sides[::-1]
    return {
        "counterparty": _other(pair.debtor_id, pair.creditor_id, business_id, parties),
        "currency": pair.currency,
        "receivable": str(Money(receivable, pair.currency)),
        "payable": str(Money(-payable, pair.currency)),
        "net": str(Money(receivable - payable, pair.currency)),
    }


def _other(one: int, two: int, business_id: int, parties: Mapping[int, Party]) -> str:
    return parties[two if one == business_id else one].code
