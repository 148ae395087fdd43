"""How books' runs, suggestions and breaks are filtered and ordered."""

from datetime import date, datetime
from enum import Enum

import strawberry

from graphql_schema.filters import DIRECTION, Direction
from graphql_schema.scalars import Long
from hub.reconciliation import breaks, matches, runs
from hub.reconciliation.breaks import KINDS, STATES
from hub.reconciliation.codes import SUGGESTS, Role, Rule

ROLES = tuple(role.value for role in Role)
RULES = {rule.name.lower(): rule for rule in Rule if rule in SUGGESTS}
BUSINESS = "Of this business's books, by its code; a business: its own."
ROLE = f"Of this book: {', '.join(ROLES)}."


@strawberry.input(description="Which runs; all that is said holds.")
class ReconciliationRunFilter:
    """By which book, which days and when."""

    business: str | None = strawberry.field(default=None, description=BUSINESS)
    role: str | None = strawberry.field(default=None, description=ROLE)
    finished: bool | None = strawberry.field(
        default=None, description="Those that are done, or those that are not."
    )
    from_day: date | None = strawberry.field(
        name="from", default=None, description="Over that business date or a later one."
    )
    until_day: date | None = strawberry.field(
        name="until", default=None, description="Over that business date or an earlier one."
    )
    asked_from: datetime | None = strawberry.field(
        default=None, description="Asked for then or later, with an offset from UTC."
    )
    asked_before: datetime | None = strawberry.field(
        default=None, description="Asked for before then, with an offset from UTC."
    )


@strawberry.enum(description="By what runs are ordered.")
class ReconciliationRunOrderField(Enum):
    """The orders of hub.reconciliation.runs."""

    ASKED = strawberry.enum_value("asked", description="When they were asked for.")
    DAYS = strawberry.enum_value("days", description="The first of the days that they are over.")


@strawberry.input(description="How runs are ordered.")
class ReconciliationRunOrder:
    """By what, and which way."""

    field: ReconciliationRunOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


RUN_ORDERS = {"ASKED": runs.BY_ASKING, "DAYS": runs.BY_DAYS}


@strawberry.input(description="Which suggestions; all that is said holds.")
class ReconciliationSuggestionFilter:
    """By whose books, which rule and when."""

    business: str | None = strawberry.field(default=None, description=BUSINESS)
    rules: list[str] | None = strawberry.field(
        default=None, description=f"Found by one of these rules: {', '.join(RULES)}."
    )
    made_from: datetime | None = strawberry.field(
        default=None, description="Made then or later, with an offset from UTC."
    )
    made_before: datetime | None = strawberry.field(
        default=None, description="Made before then, with an offset from UTC."
    )


@strawberry.enum(description="By what suggestions are ordered.")
class ReconciliationSuggestionOrderField(Enum):
    """The orders of hub.reconciliation.matches."""

    MADE = strawberry.enum_value("made", description="When they were made.")


@strawberry.input(description="How suggestions are ordered.")
class ReconciliationSuggestionOrder:
    """By what, and which way."""

    field: ReconciliationSuggestionOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


SUGGESTION_ORDERS = {"MADE": matches.BY_MAKING}


@strawberry.input(description="Which breaks; all that is said holds.")
class ReconciliationBreakFilter:
    """By whose books, what they are, how large, and since when."""

    business: str | None = strawberry.field(default=None, description=BUSINESS)
    role: str | None = strawberry.field(default=None, description=ROLE)
    states: list[str] | None = strawberry.field(
        default=None,
        description=f"In these states: {', '.join(STATES)}; unsaid: those that are open.",
    )
    kinds: list[str] | None = strawberry.field(
        default=None, description=f"Of these kinds: {', '.join(KINDS)}."
    )
    counterparty: str | None = strawberry.field(
        default=None, description="With this business on the other side, by its code."
    )
    owner: str | None = strawberry.field(default=None, description="That this person looks into.")
    currency: str | None = strawberry.field(
        default=None, description="Whose amount is in this currency, by ISO 4217."
    )
    least_amount_minor: int | None = strawberry.field(
        graphql_type=Long | None,
        default=None,
        description="Whose amount is that or more, up or down, in minor units of `currency`, "
        "which is to be said too.",
    )
    from_day: date | None = strawberry.field(
        name="from", default=None, description="Of that day of the book or a later one."
    )
    until_day: date | None = strawberry.field(
        name="until", default=None, description="Of that day of the book or an earlier one."
    )
    opened_from: datetime | None = strawberry.field(
        default=None, description="Opened then or later, with an offset from UTC."
    )
    opened_before: datetime | None = strawberry.field(
        default=None,
        description="Opened before then, with an offset from UTC: those that are older.",
    )


@strawberry.enum(description="By what breaks are ordered.")
class ReconciliationBreakOrderField(Enum):
    """The orders of hub.reconciliation.breaks."""

    OPENED = strawberry.enum_value("opened", description="When they were opened.")
    DAY = strawberry.enum_value("day", description="The day of the book.")
    AMOUNT = strawberry.enum_value(
        "amount",
        description="How large the amount is, up or down, of one currency: say which by "
        "`filter.currency`. Those alone that have one.",
    )


@strawberry.input(description="How breaks are ordered.")
class ReconciliationBreakOrder:
    """By what, and which way."""

    field: ReconciliationBreakOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


BREAK_ORDERS = {"OPENED": breaks.BY_OPENING, "DAY": breaks.BY_DAY, "AMOUNT": breaks.BY_SIZE}
