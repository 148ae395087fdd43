"""What was: a member's statement of account, and what the issuers owed at a moment."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from graphql_schema.access import SETTLEMENT_READERS, STATEMENT_READERS, only_business, require
from graphql_schema.context import Context, Info
from graphql_schema.entries import Entry
from graphql_schema.fields import count, resolved
from graphql_schema.filters import has_offset
from graphql_schema.pages import Connection, Window, connection
from graphql_schema.programme import Business
from hub.errors import Malformed
from hub.ledger import history

AsOf = Annotated[
    datetime | None,
    strawberry.argument(
        description="A moment that has passed, with its offset from UTC; now if unsaid."
    ),
]


@strawberry.type(description="A movement of points, and the balance that it left.")
class StatementLine:
    """A line of a statement of account."""

    entry: Entry = strawberry.field(description="The movement.")
    balance: int = count("The member's spendable points after it; below zero: owed.")

    @classmethod
    def of(cls, row: history.StatementLine) -> "StatementLine":
        """Show a line."""
        return cls(entry=Entry.of(row.entry), balance=row.balance)


@strawberry.type(description="A member's spendable points over a time, as the ledger recorded it.")
class AccountStatement:
    """Opening balance, movements, closing balance."""

    opening: int = count("The balance before the first movement.")
    closing: int = count("The balance after the last one: opening and all movements.")
    lines: Connection[StatementLine] = strawberry.field(
        description="The movements in the order of posting; opening and closing are of all pages."
    )


@strawberry.type(description="What an issuer's points at one cost came to.")
class Liability:
    """A part of an issuer's liability."""

    issuer_id: strawberry.Private[int]
    cost_rate: Decimal = strawberry.field(
        description="What a point costs the issuer, in major units of its currency."
    )
    outstanding: int = count("Points that members had.")
    cost: Decimal = strawberry.field(
        description="What these cost the issuer: exact, in major units of its currency."
    )
    owed: int = count("Points that members owed after refunds, to be repaid by points to come.")
    receivable: int = count("Points that members owed in money after refunds.")

    @classmethod
    def of(cls, row: history.Liability) -> "Liability":
        """Show a part of the liability."""
        return cls(
            issuer_id=row.issuer_id,
            cost_rate=row.cost_rate,
            outstanding=row.outstanding,
            cost=row.cost,
            owed=row.owed,
            receivable=row.receivable,
        )

    @resolved("The business that granted the points and owes them.")
    async def issuer(self, info: Info) -> Business:
        """Return the issuer."""
        return Business.of(await info.context.business(self.issuer_id))


@strawberry.type
class HistoryQuery:
    """Reads of what was."""

    @resolved(
        "What the issuers owe for points that members have. For finance, staff and businesses; a "
        "business sees what it issued."
    )
    async def liability(self, info: Info, as_of: AsOf = None) -> list[Liability]:
        """Return the liability per issuer and cost."""
        own = only_business(require(info.context.principal, *SETTLEMENT_READERS))
        at = moment(info.context, as_of, field="asOf")
        async with info.context.reading() as db:
            rows = await history.liability_as_of(db, at=at)
        if own is not None:
            own_id = (await info.context.business_by_code(own)).business_id
            rows = [row for row in rows if row.issuer_id == own_id]
        return [Liability.of(row) for row in rows]


def moment(context: Context, asked: datetime | None, *, field: str) -> datetime:
    """Return the moment asked for, or now; raises Malformed unless it is one that has passed."""
    if asked is None:
        return context.now
    has_offset(field, asked)
    if asked > context.now:
        raise Malformed(f"`{field}` lies ahead: only what was can be told", field=field)
    return asked


async def account_statement(
    context: Context, member_id: int, *, since: datetime, until: datetime | None, asked: Window
) -> AccountStatement:
    """Return a page of a member's statement, for the member and for staff.

    Raises Malformed for moments that make no sense.
    """
    require(context.principal, *STATEMENT_READERS)
    begins = moment(context, since, field="from")
    ends = moment(context, until, field="to")
    if ends < begins:
        raise Malformed("`to` comes before `from`", field="to")
    async with context.reading() as db:
        found = await history.statement_of_account(
            db, member_id=member_id, since=begins, until=ends, stretch=asked.stretch
        )
    lines = connection(found.lines, asked, node=StatementLine.of, place=lambda line: line.place)
    return AccountStatement(opening=found.opening, closing=found.closing, lines=lines)
