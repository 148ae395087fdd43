"""A folio told as facts: the stay, what was charged after it, and what was given back.

A folio changes after check-out: minibars are charged late, items cancelled, nights rebated. Every
snapshot must tell the same facts, whenever it is taken, so that the line is drawn by the items'
own times and never by what happened to be posted before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from hub.connector.canonical import (
    CanonicalEvent,
    EventType,
    FactKey,
    Line,
    LineKind,
    Refund,
    Tender,
    Totals,
)

# What a stay that never was costs belongs to it, however late the desk types it in.
_NEVER_LATE = frozenset({LineKind.NO_SHOW_FEE, LineKind.CANCELLATION_FEE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One charge as a line, what it came to with tax, and since when it is cancelled, if it is."""

    line: Line
    gross_minor: int
    charged_at: datetime
    cancelled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebate:
    """Something given back, its amounts positive; `of` is the charge it lowers, where known."""

    line: Line
    gross_minor: int
    given_at: datetime
    of: str | None = None


def folio_facts(
    stay: CanonicalEvent,
    charges: Sequence[Charge],
    rebates: Sequence[Rebate],
    tenders: tuple[Tender, ...],
    day: Callable[[datetime], date],
) -> list[CanonicalEvent]:
    """Return a reservation's facts, the stay first. `stay` has its kind, fact and time already.

    What was cancelled before the guest left was never charged. Rebates are facts of their own even
    when they were given before: a snapshot taken early and one taken late then tell the same stay.
    """
    left_at = stay.occurred_at
    live = [
        charge
        for charge in charges
        if charge.gross_minor and (charge.cancelled_at is None or charge.cancelled_at > left_at)
    ]
    settled: list[Charge] = []
    late: list[Charge] = []
    for one in live:
        on_time = one.charged_at <= left_at or one.line.kind in _NEVER_LATE
        (settled if on_time else late).append(one)

    def at(kind: EventType, fact: FactKey, instant: datetime) -> CanonicalEvent:
        return replace(stay, type=kind, fact=fact, occurred_at=instant, business_date=day(instant))

    facts = [bill(stay, tuple(one.line for one in settled), tenders)]
    originals = {one.line.id: stay.fact for one in settled}
    for one in late:
        originals[one.line.id] = sold = FactKey("sale", one.line.id)
        facts.append(bill(at(EventType.SALE_COMPLETED, sold, one.charged_at), (one.line,)))
    back = [
        Rebate(
            line=one.line,
            gross_minor=one.gross_minor,
            given_at=one.cancelled_at,
            of=one.line.id,
        )
        for one in live
        if one.cancelled_at is not None
    ]
    for rebate in (*back, *(one for one in rebates if one.gross_minor)):
        event = at(EventType.REFUND_RECORDED, FactKey("refund", rebate.line.id), rebate.given_at)
        known = rebate.of if rebate.of in originals else None
        facts.append(given_back(event, rebate, known, originals[known] if known else stay.fact))
    return facts


def bill(
    event: CanonicalEvent, lines: tuple[Line, ...], tenders: tuple[Tender, ...] = ()
) -> CanonicalEvent:
    """Return `event` with lines, and the totals they come to."""
    net = sum(line.net_minor for line in lines)
    tax = sum(one.amount_minor for line in lines for one in line.taxes)
    totals = Totals(net_minor=net, tax_minor=tax, tip_minor=0, total_minor=net + tax)
    return replace(event, lines=lines, tenders=tenders, totals=totals)


def given_back(
    event: CanonicalEvent, rebate: Rebate, target: str | None, original: FactKey
) -> CanonicalEvent:
    """Give a charge back: by its line where that is known, else as an amount of the whole."""
    lines = () if target is None else (replace(rebate.line, reverses=target),)
    return replace(
        event,
        lines=lines,
        refund=Refund(
            original=original,
            amount_minor=rebate.gross_minor,
            unallocated_minor=0 if lines else rebate.gross_minor,
        ),
    )
