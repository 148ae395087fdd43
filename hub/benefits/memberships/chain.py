"""Chain: what the facts of a member's plan come to, term after term. Pure.

The facts are taken in the order of their days, so that the order in which they arrive decides
nothing. A payment is for one period. It follows the term before it, if that covers its day or ended
within the days of grace; else it begins on its day. Months keep the day of the month on which the
chain began: from the 31st of January to the 27th of February, then to the 30th of March.

What is given back is in proportion to whole days, rounded down to the minor unit; the day on which
somebody cancels is used. So what was used and what is given back are together what was paid.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

Kind = Literal["trial", "paid", "refunded", "cancelled", "upgraded"]
# On one day, what begins comes before what ends it, and what is due back before it is paid out.
_ORDER = {"trial": 0, "paid": 1, "upgraded": 2, "cancelled": 3, "refunded": 4}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to a member's plan, with the plan's terms of that day.

    `name` tells it from others, `reference` names the payment that a refund is of. `value_minor` is
    what was paid, with what was taken over from another plan; of a refund, what was given back; of
    an upgrade, what the other plan took over.
    """

    fact_id: int
    kind: Kind
    day: date
    name: str
    value_minor: int = 0
    deduct_minor: int = 0
    reference: str | None = None
    period: str = "month"
    period_days: int | None = None
    trial_days: int = 0
    grace_days: int = 0
    refundable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A period that was paid for, or tried. It is void when it ends before it starts.

    `refund_minor` is what is to be given back in all once it was cancelled, `refunded_minor` what
    was.
    """

    fact_id: int
    name: str
    starts_on: date
    ends_on: date
    full_ends_on: date
    anchor: date
    months: int
    value_minor: int
    grace_days: int
    trial: bool
    refundable: bool
    refund_minor: int = 0
    refunded_minor: int = 0

    @property
    def void(self) -> bool:
        """Say whether it was ended before it began."""
        return self.ends_on < self.starts_on

    @property
    def used_minor(self) -> int:
        """What of its value was not given back when it was cancelled."""
        return self.value_minor - self.refund_minor


def chain(facts: Sequence[Fact]) -> list[Term]:
    """Return the terms of one member and one plan, in the order of the days they began with."""
    paid_on = {fact.name: fact.day for fact in facts if fact.kind == "paid"}

    def order(fact: Fact) -> tuple[date, int, str]:
        # A refund is not before what it is of, whatever a clock said.
        day = max(fact.day, paid_on.get(fact.reference or "", fact.day))
        return day, _ORDER[fact.kind], fact.name

    terms: list[Term] = []
    for fact in sorted(facts, key=order):
        if fact.kind in ("trial", "paid"):
            terms.append(_begin(terms, fact))
        elif fact.kind == "refunded":
            terms = [
                _refunded(term, fact) if term.name == fact.reference else term for term in terms
            ]
        else:
            terms = _ended(terms, fact)
    return terms


def _begin(terms: Sequence[Term], fact: Fact) -> Term:
    live = [term for term in terms if not term.void]
    last = max(live, key=lambda term: term.ends_on, default=None)
    start, anchor, months = fact.day, fact.day, 0
    if last is not None:
        whole = last.ends_on == last.full_ends_on
        grace = timedelta(days=last.grace_days if whole else 0)
        if last.ends_on >= fact.day or (whole and fact.day <= last.ends_on + grace + _DAY):
            start = anchor = last.ends_on + _DAY
            if whole and last.months:
                anchor, months = last.anchor, last.months
    if fact.kind == "trial":
        end, months = start + timedelta(days=fact.trial_days) - _DAY, 0
    elif fact.period == "days":
        end, months = start + timedelta(days=fact.period_days or 1) - _DAY, 0
    else:
        months += _MONTHS[fact.period]
        end = add_months(anchor, months) - _DAY
    return Term(
        fact_id=fact.fact_id,
        name=fact.name,
        starts_on=start,
        ends_on=end,
        full_ends_on=end,
        anchor=anchor,
        months=months,
        value_minor=0 if fact.kind == "trial" else fact.value_minor,
        grace_days=fact.grace_days,
        trial=fact.kind == "trial",
        refundable=fact.refundable,
    )


def _ended(terms: Sequence[Term], fact: Fact) -> list[Term]:
    """End what goes on: it is used to that day, and the rest of what was paid is due back."""
    deduct = fact.deduct_minor
    taken_over = fact.value_minor
    found: list[Term] = []
    # Whoever has left is no more in the days of grace.
    for term in (replace(one, grace_days=0) for one in terms):
        if term.void or term.ends_on < fact.day:
            found.append(term)
            continue
        due = unused_minor(term, fact.day)
        kept = min(deduct, due)
        deduct -= kept
        moved = min(taken_over, due - kept)
        taken_over -= moved
        found.append(
            replace(
                term,
                ends_on=max(term.starts_on - _DAY, min(term.ends_on, fact.day)),
                refund_minor=max(term.refund_minor, term.refunded_minor) + due - kept,
                refunded_minor=term.refunded_minor + moved,
            )
        )
    return found


def unused_minor(term: Term, day: date) -> int:
    """Return what of a term's value is due back when it is ended on `day`, which is used."""
    if not term.refundable or term.void:
        return 0
    whole = (term.full_ends_on - term.starts_on).days + 1
    unused = (term.ends_on - max(day, term.starts_on - _DAY)).days
    left = term.value_minor - term.refunded_minor
    return min(left, term.value_minor * max(0, unused) // whole)


def _refunded(term: Term, fact: Fact) -> Term:
    """Take back what was given back: all of it ends the term, a part shortens it as much."""
    amount = min(fact.value_minor, term.value_minor - term.refunded_minor)
    refunded = term.refunded_minor + amount
    changed = replace(term, refunded_minor=refunded)
    if term.void or term.refund_minor:
        return changed  # what was cancelled is paid out
    whole = (term.full_ends_on - term.starts_on).days + 1
    cut = whole if refunded == term.value_minor else whole * refunded // term.value_minor
    ends = term.full_ends_on - timedelta(days=cut)
    # What was had already cannot be taken back.
    ends = max(ends, min(fact.day, term.full_ends_on), term.starts_on - _DAY)
    return replace(changed, ends_on=min(term.ends_on, ends))


def add_months(day: date, months: int) -> date:
    """Return the same day so many months on, or the month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))
