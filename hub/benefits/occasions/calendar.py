"""Which occasions fall on which days, and for whom: rules without a database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hub.members.birthdays import Calendar, LeapDay, born_on, celebrated_on, form_of
from hub.members.lunar import lunar_day

MAKE_UP_DAYS = 7
"""For so long what was missed is still given: while no worker ran, or nobody knew the birthday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OccasionTerms:
    """What an occasion gives from `effective_from` on; no points, voucher or benefit: nothing."""

    occasion_id: int
    code: str
    kind: str
    calendar: Calendar
    effective_from: date
    points: int | None
    business_id: int | None
    campaign: str | None
    benefit: str | None
    uses: int
    valid_days: int
    days_ahead: int
    leap_day: LeapDay

    @property
    def gives(self) -> bool:
        """Whether anything is given at all."""
        return (self.points, self.campaign, self.benefit) != (None, None, None)


@dataclass(frozen=True, slots=True)
class Falling:
    """That an occasion is given from `day` on to whom the form fits: it comes on `on`."""

    form: str
    year: int
    day: date
    on: date
    terms: OccasionTerms


def falling(versions: Sequence[OccasionTerms], *, first: date, last: date) -> list[Falling]:
    """Return what an occasion's versions give that could still be due on one of these days."""
    longest = max((MAKE_UP_DAYS, *(one.days_ahead for one in versions)))
    found = []
    day = first - timedelta(days=longest)
    while day <= last:
        terms = _in_force(versions, day)
        if terms is not None and terms.gives:
            on = day + timedelta(days=terms.days_ahead)
            for form, year in celebrated_on(on, terms.calendar, terms.leap_day):
                found.append(Falling(form, year, day, on, terms))
        day += timedelta(days=1)
    return found


def due(
    possible: Iterable[Falling],
    *,
    whose: str | None,
    joined_at: datetime,
    time_zone: str,
    now: datetime,
) -> Falling | None:
    """Return what is due to a member at `now`, the latest; None for nothing.

    `whose` is the birthday as it is shown, or the day of joining; None: nobody knows it. It is due
    from its day in the member's zone on, until the occasion is over and MAKE_UP_DAYS have gone by;
    not to those who joined after it, nor in the year in which it began.
    """
    if whose is None:
        return None
    zone = ZoneInfo(time_zone)
    today, joined_on = now.astimezone(zone).date(), joined_at.astimezone(zone).date()
    best = None
    for one in possible:
        ends_on = max(one.on, one.day + timedelta(days=MAKE_UP_DAYS))
        if (
            one.day <= today <= ends_on
            and joined_on <= one.on
            and form_of(whose, one.terms.calendar) == one.form
            and _begun(whose, one)
            and (best is None or best.day < one.day)
        ):
            best = one
    return best


def _begun(whose: str, one: Falling) -> bool:
    """Whether a year has passed at least; where the year of birth is unknown, it has."""
    began = born_on(whose)
    if began is None:
        return True
    if one.terms.calendar is Calendar.LUNAR:
        lunar = lunar_day(began)
        return lunar is not None and lunar.year < one.year
    return began.year < one.year


def _in_force(versions: Sequence[OccasionTerms], day: date) -> OccasionTerms | None:
    started = [one for one in versions if one.effective_from <= day]
    return max(started, key=lambda one: one.effective_from, default=None)
