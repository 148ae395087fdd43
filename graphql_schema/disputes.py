"""Disputes: lines of a statement that one side says are wrong, and what is due without them."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.access import SETTLEMENT_READERS, require, visible_business
from graphql_schema.context import Context, Info
from graphql_schema.fields import count, resolved
from graphql_schema.filters import DIRECTION, Direction, by_businesses, either, said
from graphql_schema.money import Money
from graphql_schema.pages import Connection, Window, connection
from graphql_schema.programme import Business
from graphql_schema.recognition import own_id
from hub.db.keyset import Keyset
from hub.settlement import disputes
from hub.settlement.dues import Due


@strawberry.enum(description="What became of a dispute.")
class DisputeState(Enum):
    """States of a dispute."""

    OPEN = strawberry.enum_value("open", description="It waits for the group's finance.")
    UPHELD = strawberry.enum_value("upheld", description="The lines are wrong: corrected.")
    REJECTED = strawberry.enum_value("rejected", description="The lines stand.")
    WITHDRAWN = strawberry.enum_value("withdrawn", description="Who disputed let them stand.")


@strawberry.type(description="What was said in a dispute.")
class DisputeMessage:
    """A message, never changed."""

    business_id: strawberry.Private[int | None]
    actor: str = strawberry.field(description="Who said it.")
    body: str = strawberry.field(description="What was said.")
    said_at: datetime = strawberry.field(description="When.")

    @resolved("For which business it was said; null: for the group's finance.")
    async def business(self, info: Info) -> Business | None:
        """Return whose side it is."""
        if self.business_id is None:
            return None
        return Business.of(await info.context.business(self.business_id))


@strawberry.type(description="Lines of a statement that one side of them says are wrong.")
class Dispute:
    """A dispute, for finance, staff and the two businesses."""

    row: strawberry.Private[disputes.Dispute]
    number: int = count("The dispute's number.")
    period: str = strawberry.field(description="The code of the period that it is about.")
    state: DisputeState = strawberry.field(description="What became of it.")
    reason: str = strawberry.field(description="Why it was opened.")
    opened_by: str = strawberry.field(description="Who opened it.")
    opened_at: datetime = strawberry.field(description="When it was opened.")
    resolved_by: str | None = strawberry.field(description="Who ended it.")
    resolved_at: datetime | None = strawberry.field(description="When it ended.")
    resolution: str | None = strawberry.field(description="Why it ended as it did.")
    held_back: Money | None = strawberry.field(
        description="What the debtor does not pay for the period because of it; null: nothing, the "
        "period is not approved yet, or was approved without it."
    )

    @resolved("The business that disputes.")
    async def business(self, info: Info) -> Business:
        """Return who says that the lines are wrong."""
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("The business that owes the lines.")
    async def debtor(self, info: Info) -> Business:
        """Return the debtor."""
        return Business.of(await info.context.business(self.row.debtor_id))

    @resolved("The business that is owed the lines.")
    async def creditor(self, info: Info) -> Business:
        """Return the creditor."""
        return Business.of(await info.context.business(self.row.creditor_id))

    @resolved("The numbers of the disputed lines, up to 1000.", each_counts=True)
    async def lines(self, info: Info) -> list[int]:
        """Return the lines' numbers."""
        return await info.context.load.disputed_lines.load(self.row.dispute_id)

    @resolved("What was said, in its order.")
    async def messages(self, info: Info) -> list[DisputeMessage]:
        """Return the messages."""
        return [
            DisputeMessage(
                business_id=one.business_id, actor=one.actor, body=one.body, said_at=one.said_at
            )
            for one in await info.context.load.dispute_messages.load(self.row.dispute_id)
        ]

    @classmethod
    def of(cls, row: disputes.Dispute) -> "Dispute":
        """Show a dispute."""
        held = row.held_minor
        return cls(
            row=row,
            number=row.dispute_id,
            period=row.period,
            state=DisputeState(row.state),
            reason=row.reason,
            opened_by=row.opened_by,
            opened_at=row.opened_at,
            resolved_by=row.resolved_by,
            resolved_at=row.resolved_at,
            resolution=row.resolution,
            held_back=None if held is None else Money(amount_minor=held, currency=row.currency),
        )


@strawberry.type(description="What one business is to pay another for a period, before netting.")
class SettlementDue:
    """A pair's due, fixed when the period was approved."""

    row: strawberry.Private[Due]
    gross: Money = strawberry.field(description="What the statement says is owed.")
    disputed: Money = strawberry.field(description="Of it, what is held back.")
    carried_in: Money = strawberry.field(description="Of it, what earlier periods had held back.")
    due: Money = strawberry.field(description="What is paid: gross less disputed.")

    @resolved("The business that owes.")
    async def debtor(self, info: Info) -> Business:
        """Return the debtor."""
        return Business.of(await info.context.business(self.row.debtor_id))

    @resolved("The business that is owed.")
    async def creditor(self, info: Info) -> Business:
        """Return the creditor."""
        return Business.of(await info.context.business(self.row.creditor_id))

    @classmethod
    def of(cls, row: Due) -> "SettlementDue":
        """Show what is due."""
        gross, disputed, carried_in, due = (
            Money(amount_minor=minor, currency=row.currency)
            for minor in (row.gross_minor, row.disputed_minor, row.carried_in_minor, row.due_minor)
        )
        return cls(row=row, gross=gross, disputed=disputed, carried_in=carried_in, due=due)


@strawberry.input(description="Which disputes; all that is said holds.")
class DisputeFilter:
    """By what became of them, whose, of what and when."""

    states: list[DisputeState] | None = strawberry.field(
        default=None, description="In these states; unsaid: all."
    )
    business: str | None = strawberry.field(
        default=None, description="That it is a side of: a business's code; a business: its own."
    )
    debtor: str | None = strawberry.field(
        default=None, description="Of lines that it owes: a business's code."
    )
    creditor: str | None = strawberry.field(
        default=None, description="Of lines that it is owed: a business's code."
    )
    period: str | None = strawberry.field(
        default=None, description="Of this period: a month as 2026-11 or a day as 2026-11-03."
    )
    currency: str | None = strawberry.field(
        default=None, description="Of lines in this currency, by ISO 4217."
    )
    opened_from: datetime | None = strawberry.field(
        default=None, description="Opened then or later, with an offset from UTC."
    )
    opened_before: datetime | None = strawberry.field(
        default=None, description="Opened before then, with an offset from UTC."
    )


@strawberry.enum(description="By what disputes are ordered.")
class DisputeOrderField(Enum):
    """The orders of hub.settlement.disputes."""

    OPENED = strawberry.enum_value("opened", description="When they were opened.")
    ENDED = strawberry.enum_value("ended", description="When they ended: those alone that did.")


@strawberry.input(description="How disputes are ordered.")
class DisputeOrder:
    """By what, and which way."""

    field: DisputeOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


OnlyDisputes = Annotated[
    DisputeFilter | None, strawberry.argument(description="Only these disputes.")
]
DisputesBy = Annotated[
    DisputeOrder | None,
    strawberry.argument(description="How they are ordered; unsaid: the oldest first."),
]


ORDERS = {"OPENED": disputes.BY_OPENING, "ENDED": disputes.BY_ENDING}


async def dispute_page(
    context: Context,
    asked: Window,
    *,
    only: DisputeFilter | None,
    order: Keyset,
    states: list[DisputeState] | None,
) -> Connection[Dispute]:
    """Return a page of disputes; a business gets those that it is a side of.

    Raises Forbidden when a business asks for another's, NotFound for an unknown business.
    """
    held = await _held(context, only, states)
    async with context.reading() as db:
        rows = await disputes.disputes(db, only=held, order=order, **asked.reads)
    return connection(rows, asked, node=Dispute.of, place=order.place)


async def disputes_of(
    context: Context, period_id: int, asked: Window, *, only: DisputeFilter | None, order: Keyset
) -> Connection[Dispute]:
    """Return a page of what was disputed of a period, as above."""
    key = ((await _held(context, only), order), asked.stretch, period_id)
    rows = await context.load.pages.disputes.load(key)
    return connection(rows, asked, node=Dispute.of, place=order.place)


async def _held(
    context: Context, only: DisputeFilter | None, states: list[DisputeState] | None = None
) -> disputes.DisputeFilter:
    own = await own_id(context)
    told = said(only)
    states = either("states", states, told.pop("states", None))
    if "business" in told:
        code = visible_business(
            require(context.principal, *SETTLEMENT_READERS), asked=told.pop("business")
        )
        own = (await context.business_by_code(code)).business_id
    return disputes.DisputeFilter(
        states=None if states is None else tuple(sorted(one.name.lower() for one in states)),
        business_id=own,
        **await by_businesses(context, told, "debtor", "creditor"),
    )
