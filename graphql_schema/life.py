"""The life of a settlement period: what was checked, its close step by step, what is paid ahead."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum

import strawberry

from graphql_schema.context import Info
from graphql_schema.fields import resolved
from graphql_schema.programme import Business
from hub.settlement.funds import Fund
from hub.settlement.life import Check
from hub.settlement.steps import Step


@strawberry.type(description="A state that a period reached.")
class PeriodEvent:
    """Who moved a period on."""

    state: str = strawberry.field(description="closing, draft, approved, issued or paid.")
    at: datetime = strawberry.field(description="Since when.")
    actor: str = strawberry.field(description="Who did it; hub: it was closed by itself.")
    note: str | None = strawberry.field(description="What they said of it.")


@strawberry.type(description="What was looked at before a period may be closed.")
class PeriodCheck:
    """A check, with the waiver for what it found."""

    code: str = strawberry.field(description="What the check is called.")
    stops: bool = strawberry.field(description="Whether the period cannot be closed because of it.")
    says: str = strawberry.field(description="What it found, in words.")
    checked_at: datetime = strawberry.field(description="When it looked.")
    waived_by: str | None = strawberry.field(description="Who waived just this.")
    reason: str | None = strawberry.field(description="Why it was waived.")

    @classmethod
    def of(cls, row: Check) -> "PeriodCheck":
        """Show a check."""
        return cls(
            code=row.code,
            stops=row.stops,
            says=row.says,
            checked_at=row.checked_at,
            waived_by=row.waived_by,
            reason=row.reason,
        )


@strawberry.enum(description="What a step of a close does.")
class CloseStepKind(Enum):
    """The kinds of steps, in their order."""

    LINES = strawberry.enum_value("lines", description="Writes what is owed, day by day.")
    TERMS = strawberry.enum_value("terms", description="Writes caps, prefunds and draws on them.")
    TOTALS = strawberry.enum_value("totals", description="Sums and nets it.")
    STATEMENT = strawberry.enum_value("statement", description="States it to a business.")
    DRAFT = strawberry.enum_value("draft", description="Proves that it adds up, and ends.")


@strawberry.type(description="A step of a close. It is done in a transaction of its own, once.")
class CloseStep:
    """A step, as planned and as done."""

    kind: CloseStepKind = strawberry.field(description="What it does.")
    from_date: date | None = strawberry.field(
        description="Of lines, the first business date; null: all that no period had before."
    )
    to_date: date | None = strawberry.field(description="Of lines, the last business date.")
    expected_lines: int = strawberry.field(description="About how many lines it writes.")
    lines: int | None = strawberry.field(description="How many it wrote; null until it is done.")
    done_at: datetime | None = strawberry.field(description="When it was done; null until then.")

    @classmethod
    def of(cls, row: Step) -> "CloseStep":
        """Show a step."""
        return cls(
            kind=CloseStepKind(row.kind),
            from_date=row.from_date,
            to_date=row.to_date,
            expected_lines=row.expected,
            lines=row.lines,
            done_at=row.done_at,
        )


@strawberry.type(description="What one business has paid ahead to another, as a close left it.")
class PrefundBalance:
    """A fund of a hybrid agreement; opening + paid − drawn = closing."""

    row: strawberry.Private[Fund]
    currency: str = strawberry.field(description="ISO 4217 currency of its amounts.")
    opening: Decimal = strawberry.field(description="Major units before the period.")
    paid: Decimal = strawberry.field(description="Major units paid ahead in the period, net.")
    drawn: Decimal = strawberry.field(
        description="Major units that redemptions drew; negative: more came back than was drawn."
    )
    closing: Decimal = strawberry.field(description="Major units left.")

    @resolved("The business that pays ahead.")
    async def debtor(self, info: Info) -> Business:
        """Return who paid."""
        return Business.of(await info.context.business(self.row.debtor_id))

    @resolved("The business that holds it.")
    async def creditor(self, info: Info) -> Business:
        """Return who holds it."""
        return Business.of(await info.context.business(self.row.creditor_id))

    @classmethod
    def of(cls, row: Fund) -> "PrefundBalance":
        """Show a fund."""
        return cls(
            row=row,
            currency=row.currency,
            opening=row.opening,
            paid=row.paid,
            drawn=row.drawn,
            closing=row.closing,
        )
