"""A reservation's folio postings: what was sold, given back and paid.

OPERA posts a tax beside what it is a tax on, and a wrapper beside what it wraps: the first is put
on its line, of the second only the wrapper counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.hotel.ohip.config import OhipConfig, kind_of
from connectors.hotel.ohip.payload import Posting, StaySnapshot, Value
from hub.connector import Line, LineKind, Tax, Tender, TenderKind, as_reference, local_instant
from hub.errors import Malformed
from hub.units import Money

# What earns nothing need not be given back either, unless it is known what it was.
_EARNS_NOTHING = frozenset(
    {
        LineKind.TAX,
        LineKind.CITY_TAX,
        LineKind.DEPOSIT,
        LineKind.GIFTCARD_SALE,
        LineKind.STORED_VALUE_LOAD,
        LineKind.GRATUITY,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A posting as a line with positive amounts, what it came to with tax, and when it was."""

    line: Line
    gross_minor: int
    at: datetime
    day: date
    of: str | None = None


@dataclass(slots=True)
class Folio:
    """`sold` and `back` in the order of their transaction numbers."""

    sold: list[Entry] = field(default_factory=list)
    back: list[Entry] = field(default_factory=list)
    rounding: list[Line] = field(default_factory=list)
    tenders: list[Tender] = field(default_factory=list)


def read_folio(snapshot: StaySnapshot, config: OhipConfig, currency: str, zone: ZoneInfo) -> Folio:
    """Sort the postings of all windows; raises Malformed, naming the field, for what is unknown."""
    groups = {code.transaction_code: code.transaction_group for code in snapshot.codes}
    postings = dict(_postings(snapshot))
    wrappers = {
        one.transaction_no for one, _ in postings.values() if one.transaction_type == "Wrapper"
    }
    reversed_payments = {one.reverse_payment_transaction_no for one, _ in postings.values()} - {
        None
    }
    folio = Folio()
    amounts: dict[str, int] = {}
    kinds: dict[str, LineKind] = {}
    for number, (posting, at) in postings.items():
        group = groups.get(posting.transaction_code)
        if (
            posting.paid_out
            or posting.deferred_tax
            or posting.reference_package_transaction_no in wrappers - {number}
            or kind_of(dict.fromkeys(config.mirrored, True), posting.transaction_code, group)
        ):
            continue
        paid = kind_of(config.payment_kinds, posting.transaction_code, group)
        amount = _amount(posting, currency, at)
        if posting.transaction_type == "Payment" or (posting.transaction_type is None and paid):
            if number in reversed_payments or posting.reverse_payment_transaction_no:
                continue
            folio.tenders += _tender(posting, amount, paid or TenderKind.OTHER)
        elif amount and posting.rounding_difference_trx:
            folio.rounding.append(_rounding(number, amount))
        elif amount:
            kind = kind_of(config.line_kinds, posting.transaction_code, group)
            if kind is None:
                raise Malformed(
                    f"code {posting.transaction_code} has no kind: add it to line_kinds",
                    field=f"{at}.transactionCode",
                )
            amounts[number], kinds[number] = amount, kind
    for entry, negative in _entries(postings, amounts, kinds, zone):
        (folio.back if negative else folio.sold).append(entry)
    return folio


def _postings(snapshot: StaySnapshot) -> Iterator[tuple[str, tuple[Posting, str]]]:
    """Yield every posting once, by its number, in the order of the numbers."""
    found = {
        posting.transaction_no: (posting, f"windows[{w}].folios[{f}].postings[{p}]")
        for w, window in enumerate(snapshot.windows)
        for f, folio in enumerate(window.folios or ())
        for p, posting in enumerate(folio.postings or ())
    }
    yield from sorted(found.items(), key=lambda one: (len(one[0]), one[0]))


def _amount(posting: Posting, currency: str, at: str) -> int:
    """Return what a posting adds to the folio's balance: a debit is positive, a credit negative."""
    if posting.debit_amount is None and posting.credit_amount is None:
        if posting.posted_amount is None:
            raise Malformed("a posting has an amount", field=f"{at}.postedAmount")
        return _minor(posting.posted_amount, currency, f"{at}.postedAmount")
    debit = posting.debit_amount or Value(amount=Decimal(0))
    credit = posting.credit_amount or Value(amount=Decimal(0))
    return _minor(debit, currency, f"{at}.debitAmount") - _minor(
        credit, currency, f"{at}.creditAmount"
    )


def _minor(value: Value, currency: str, at: str) -> int:
    stated = value.currency_code or currency
    if stated != currency:
        raise Malformed(
            f"an amount in {stated} on a folio in {currency}", field=f"{at}.currencyCode"
        )
    return Money.parse(value.amount, currency, field=f"{at}.amount").minor


def _tender(posting: Posting, amount: int, kind: TenderKind) -> Iterator[Tender]:
    """Yield what was paid. A payment is a credit; without a side its sign is not looked at."""
    sided = posting.debit_amount is not None or posting.credit_amount is not None
    paid = -amount if sided else abs(amount)
    reference = (posting.reference or "").strip() or None
    if paid > 0:
        yield Tender(
            id=posting.transaction_no,
            kind=kind,
            amount_minor=paid,
            reference=reference if kind is TenderKind.POINTS else None,
        )


def _rounding(number: str, amount: int) -> Line:
    return Line(id=number, kind=LineKind.ROUNDING, gross_minor=amount, net_minor=amount)


def _entries(
    postings: Mapping[str, tuple[Posting, str]],
    amounts: Mapping[str, int],
    kinds: Mapping[str, LineKind],
    zone: ZoneInfo,
) -> Iterator[tuple[Entry, bool]]:
    """Yield what was sold, and with True what was given back, each with the taxes on it."""
    taxes: dict[str, list[Tax]] = {}
    alone = []
    for number, amount in amounts.items():
        if kinds[number] is LineKind.TAX:
            posting = postings[number][0]
            base = posting.reference_transaction_no or ""
            if base in amounts and _taxed(base, amount, amounts, kinds):
                taxes.setdefault(base, []).append(
                    Tax(code=posting.transaction_code, amount_minor=abs(amount))
                )
            else:
                alone.append(number)
    for number, amount in amounts.items():
        kind = kinds[number]
        if kind is LineKind.TAX and number not in alone:
            continue
        posting, at = postings[number]
        of = posting.reference_transaction_no
        known = of if of is not None and of != number and amounts.get(of, 0) > 0 else None
        if amount < 0 and known is None and kind in _EARNS_NOTHING:
            continue
        moment, day = _when(posting, zone, at)
        line = replace(
            _line(posting, abs(amount), kind, tuple(taxes.get(number, ()))),
            check=as_reference(posting.check_number or posting.reference),
            charged_on=day,
        )
        gross = line.net_minor + sum(tax.amount_minor for tax in line.taxes)
        yield Entry(line=line, gross_minor=gross, at=moment, day=day, of=known), amount < 0


def _taxed(base: str, tax: int, amounts: Mapping[str, int], kinds: Mapping[str, LineKind]) -> bool:
    """Say whether `base` can be what a tax was posted on: no tax itself, and of the same sign."""
    return kinds[base] is not LineKind.TAX and amounts[base] * tax > 0


def _line(posting: Posting, amount: int, kind: LineKind, taxes: tuple[Tax, ...]) -> Line:
    if kind is LineKind.TAX:  # on nothing that is known: all of it is tax, and nothing net
        taxes = (Tax(code=posting.transaction_code, amount_minor=amount, included=True),)
    return Line(
        id=posting.transaction_no,
        kind=kind,
        quantity=Decimal(1) if posting.quantity is None else posting.quantity,
        gross_minor=amount,
        net_minor=0 if kind is LineKind.TAX else amount,
        taxes=taxes,
        category=posting.transaction_code,
    )


def _when(posting: Posting, zone: ZoneInfo, at: str) -> tuple[datetime, date]:
    """Return when something was posted and on which of the hotel's trading days."""
    stated = {
        "transactionDate": posting.transaction_date,
        "revenueDate": posting.revenue_date,
        "postingDate": posting.posting_date,
    }
    found = {
        name: local_instant(text, zone, f"{at}.{name}") for name, text in stated.items() if text
    }
    if not found:
        raise Malformed("nothing says when it was posted", field=f"{at}.transactionDate")
    day = next(iter(found.values()))
    return found.get("postingDate", day), day.astimezone(zone).date()
