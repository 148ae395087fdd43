"""Reconciliation: a business's own books and bank statements beside the hub's lines."""

from datetime import date, datetime

import strawberry

from graphql_schema.access import CLOSE_READERS
from graphql_schema.context import Info
from graphql_schema.fields import count, resolved
from graphql_schema.money import Money
from graphql_schema.programme import Business
from hub.reconciliation import breaks, matches, runs
from hub.reconciliation.advance import STEPS
from hub.reconciliation.ageing import Aged
from hub.reconciliation.both_sides import SideRow
from hub.reconciliation.codes import Rule
from hub.reconciliation.save_mapping import SavedMapping


def _money(minor: int | None, currency: str | None) -> Money | None:
    if minor is None or currency is None:
        return None
    return Money(amount_minor=minor, currency=currency)


@strawberry.type(description="How a business's files are read.")
class ReconciliationMapping:
    """A mapping in force."""

    row: strawberry.Private[SavedMapping]
    code: str = strawberry.field(description="By which files and runs name it.")
    version: int = strawberry.field(description="Counts its changes.")
    role: str = strawberry.field(
        description="Whose book it reads: creditor (what the business is owed), debtor (what it "
        "owes) or bank."
    )

    @resolved("Whose book it is.")
    async def business(self, info: Info) -> Business:
        """Return the business."""
        return Business.of(await info.context.business(self.row.business_id))

    @classmethod
    def of(cls, row: SavedMapping) -> "ReconciliationMapping":
        """Show a mapping."""
        return cls(row=row, code=row.code, version=row.version, role=row.role.value)


@strawberry.type(description="How many a step of a run found.")
class ReconciliationStep:
    """A step that was taken."""

    name: str = strawberry.field(description="The step.")
    found: int = count("How many it found.")


@strawberry.type(description="A book laid beside the hub's lines of some days.")
class ReconciliationRun:
    """A run."""

    row: strawberry.Private[runs.Run]
    number: strawberry.ID = strawberry.field(description="The run's number.")
    role: str = strawberry.field(description="The book: creditor, debtor or bank.")
    from_: date = strawberry.field(name="from", description="The first business date.")
    to: date = strawberry.field(description="The last business date.")
    asked_by: str = strawberry.field(description="Who asked for it.")
    asked_at: datetime = strawberry.field(description="When it was asked for.")
    finished_at: datetime | None = strawberry.field(description="When it was done; null: not yet.")
    steps_done: int = strawberry.field(description="How many steps were taken.")
    steps_total: int = strawberry.field(description="How many steps there are.")
    steps: list[ReconciliationStep] = strawberry.field(description="The steps that were taken.")

    @resolved("Whose book it is.")
    async def business(self, info: Info) -> Business:
        """Return the business."""
        return Business.of(await info.context.business(self.row.business_id))

    @classmethod
    def of(cls, row: runs.Run) -> "ReconciliationRun":
        """Show a run."""
        return cls(
            row=row,
            number=strawberry.ID(str(row.run_id)),
            role=row.role.value,
            from_=row.from_date,
            to=row.to_date,
            asked_by=row.asked_by,
            asked_at=row.asked_at,
            finished_at=row.finished_at,
            steps_done=row.steps_done,
            steps_total=len(STEPS),
            steps=[
                ReconciliationStep(name=name, found=row.found[name])
                for name in STEPS
                if name in row.found
            ],
        )


@strawberry.type(description="A row of a business's book, or of the hub.")
class ReconciliationRow:
    """A row of either side."""

    row: strawberry.Private[SideRow]
    of_hub: bool = strawberry.field(description="Whether the hub says it; else the book.")
    day: date = strawberry.field(description="Its business date, or the day it was booked.")
    amount: Money | None = strawberry.field(description="What the debtor owes or paid.")
    reference: str | None = strawberry.field(description="The business's own name for it.")
    transaction: str | None = strawberry.field(
        description="The transaction or payment that it names."
    )
    file: str | None = strawberry.field(description="The file that it came in.")
    line: int | None = strawberry.field(description="Its row in that file.")

    @resolved("Its points, where it is about points.", counts=True)
    def points(self) -> int | None:
        """Return the points."""
        return self.row.points

    @resolved("The business on the other side.")
    async def counterparty(self, info: Info) -> Business | None:
        """Return the other business."""
        other = self.row.counterparty_id
        return None if other is None else Business.of(await info.context.business(other))

    @classmethod
    def of(cls, row: SideRow) -> "ReconciliationRow":
        """Show a row."""
        return cls(
            row=row,
            of_hub=row.of_hub,
            day=row.day,
            amount=_money(row.amount_minor, row.currency),
            reference=row.reference,
            transaction=row.transaction,
            file=row.file,
            line=row.number,
        )


@strawberry.type(description="Rows of a book and of the hub that belong together, or may.")
class ReconciliationMatch:
    """A match or a suggestion."""

    row: strawberry.Private[matches.Match]
    number: strawberry.ID = strawberry.field(description="The match's number.")
    rule: str = strawberry.field(description="The rule that found it.")
    state: str = strawberry.field(description="suggested, confirmed, rejected or undone.")
    made_at: datetime = strawberry.field(description="When it was found.")
    decided_at: datetime | None = strawberry.field(description="When somebody decided.")
    decided_by: str | None = strawberry.field(description="Who decided; null: a rule alone.")
    note: str | None = strawberry.field(description="Why.")

    @resolved("Whose book it is.")
    async def business(self, info: Info) -> Business:
        """Return the business."""
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("The rows, the book's first.")
    async def rows(self, info: Info) -> list[ReconciliationRow]:
        """Return both sides."""
        found = await info.context.load.match_rows.load(self.row.match_id)
        return [ReconciliationRow.of(row) for row in found]

    @classmethod
    def of(cls, row: matches.Match) -> "ReconciliationMatch":
        """Show a match."""
        return cls(
            row=row,
            number=strawberry.ID(str(row.match_id)),
            rule=Rule(row.rule).name.lower(),
            state=row.state,
            made_at=row.made_at,
            decided_at=row.decided_at,
            decided_by=row.decided_by,
            note=row.note,
        )


@strawberry.type(description="What became of a break.")
class ReconciliationBreakEvent:
    """A step of a break's life."""

    event: str = strawberry.field(description="What happened.")
    at: datetime = strawberry.field(description="When.")
    actor: str = strawberry.field(description="Who did it; hub: nobody.")
    note: str | None = strawberry.field(description="What they said.")


@strawberry.type(description="What stands open between a business's book and the hub.")
class ReconciliationBreak:
    """A break."""

    row: strawberry.Private[breaks.Break]
    number: strawberry.ID = strawberry.field(description="The break's number.")
    role: str = strawberry.field(description="The book: creditor, debtor or bank.")
    kind: str = strawberry.field(
        description="missing_at_hub, missing_at_partner, amount, points, date, currency, duplicate "
        "or ambiguous."
    )
    state: str = strawberry.field(
        description="open, investigating, resolved, written_off or reopened."
    )
    resolution: str | None = strawberry.field(
        description="matched, adjusted, reversed or superseded; null: it is not resolved."
    )
    day: date = strawberry.field(description="The day that it is about.")
    amount: Money | None = strawberry.field(
        description="The book's less the hub's; of different currencies, and of what waits for a "
        "choice, the book's own."
    )
    owner: str | None = strawberry.field(description="Who looks into it.")
    reason: str | None = strawberry.field(description="Why it is over.")
    write_off_by: str | None = strawberry.field(
        description="Who asked for it to be written off; somebody else agrees."
    )
    write_off_reason: str | None = strawberry.field(description="Why.")
    correction: strawberry.ID | None = strawberry.field(
        description="The number of the correction that was proposed for it."
    )
    opened_at: datetime = strawberry.field(description="When it was found.")
    closed_at: datetime | None = strawberry.field(description="When it was over; null: it is not.")

    @resolved("The book's points less the hub's.", counts=True)
    def points(self) -> int | None:
        """Return the points."""
        return self.row.points

    @resolved("For how many whole days it has been, or was, open.")
    def age_days(self, info: Info) -> int:
        """Return its age."""
        return self.row.age_days(info.context.now)

    @resolved("Whose book it is.")
    async def business(self, info: Info) -> Business:
        """Return the business."""
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("The business on the other side, if that is known.")
    async def counterparty(self, info: Info) -> Business | None:
        """Return the other business."""
        other = self.row.counterparty_id
        return None if other is None else Business.of(await info.context.business(other))

    @resolved("Who of three stands alone: book (the other business's book agrees with the hub), "
              "hub (both books say the same), none (all three differ), untold (the other book "
              "was not laid beside that day). For finance and staff; else null.")  # fmt: skip
    async def alone(self, info: Info) -> str | None:
        """Return the verdict."""
        caller = info.context.principal
        if caller is None or caller.role not in CLOSE_READERS:
            return None
        return (await info.context.load.break_verdicts.load(self.row.break_id)).value

    @resolved("Its rows, the book's first.")
    async def rows(self, info: Info) -> list[ReconciliationRow]:
        """Return both sides."""
        found = await info.context.load.break_rows.load(self.row.break_id)
        return [ReconciliationRow.of(row) for row in found]

    @resolved("The matches and suggestions that stand, of which a row of it is part.")
    async def matches(self, info: Info) -> list[ReconciliationMatch]:
        """Return what may settle it."""
        found = await info.context.load.break_matches.load(self.row.break_id)
        return [ReconciliationMatch.of(row) for row in found]

    @resolved("What became of it, from the first.")
    async def events(self, info: Info) -> list[ReconciliationBreakEvent]:
        """Return its life."""
        return [
            ReconciliationBreakEvent(event=one.event, at=one.at, actor=one.actor, note=one.note)
            for one in await info.context.load.break_events.load(self.row.break_id)
        ]

    @classmethod
    def of(cls, row: breaks.Break) -> "ReconciliationBreak":
        """Show a break."""
        return cls(
            row=row,
            number=strawberry.ID(str(row.break_id)),
            role=row.role,
            kind=row.kind,
            state=row.state,
            resolution=row.resolution,
            day=row.day,
            amount=_money(row.amount_minor, row.currency),
            owner=row.owner,
            reason=row.reason,
            write_off_by=row.write_off_by,
            write_off_reason=row.write_off_reason,
            correction=None if row.correction_id is None else strawberry.ID(str(row.correction_id)),
            opened_at=row.opened_at,
            closed_at=row.closed_at,
        )


@strawberry.type(description="Open breaks of a book, kind and currency, of an age.")
class ReconciliationAge:
    """A row of the ageing report."""

    row: strawberry.Private[Aged]
    role: str = strawberry.field(description="The book: creditor, debtor or bank.")
    kind: str = strawberry.field(description="What the breaks are.")
    up_to_days: int | None = strawberry.field(description="How old at most; null: older.")
    breaks: int = count("How many.")
    points: int = count("Their points, each without its sign.")
    amount: Money | None = strawberry.field(description="Their amounts, each without its sign.")
    oldest_at: datetime = strawberry.field(description="When the oldest was found.")
    unowned: int = count("How many nobody looks into.")

    @resolved("Whose book it is.")
    async def business(self, info: Info) -> Business:
        """Return the business."""
        return Business.of(await info.context.business(self.row.business_id))

    @classmethod
    def of(cls, row: Aged) -> "ReconciliationAge":
        """Show a row of the report."""
        return cls(
            row=row,
            role=row.role,
            kind=row.kind,
            up_to_days=row.up_to_days,
            breaks=row.breaks,
            points=row.points,
            amount=_money(row.amount_minor, row.currency),
            oldest_at=row.oldest_at,
            unowned=row.unowned,
        )
