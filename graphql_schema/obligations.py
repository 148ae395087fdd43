"""Obligations: the lines of a settlement period."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from graphql_schema.access import SETTLEMENT_READERS, only_business, require, visible_business
from graphql_schema.context import Context, Info
from graphql_schema.fields import count, resolved
from graphql_schema.pages import Connection, connection, cursor_day, window
from graphql_schema.programme import Business
from hub.settlement import queries


@strawberry.type(description="What one consumed lot obliges its issuer to pay the acceptor.")
class Obligation:
    """A line of a period. It names accounts by number, never a person."""

    row: strawberry.Private[queries.Obligation]
    points: int = count("Points that were accepted; negative when they were given back.")
    rate: Decimal = strawberry.field(description="Major units per point, exact.")
    amount: Decimal = strawberry.field(
        description="Major units that the issuer owes the acceptor, exact: points × rate."
    )
    currency: str = strawberry.field(description="ISO 4217 currency of rate and amount.")
    business_date: date = strawberry.field(description="The acceptor's trading day.")
    occurred_at: datetime = strawberry.field(description="When it happened in the shop.")
    posted_at: datetime = strawberry.field(description="When the ledger recorded it.")
    late: bool = strawberry.field(
        description="Whether its trading day lies before the period: it missed an earlier close."
    )

    @resolved("Number of the transaction, as on the receipt.")
    def transaction(self) -> strawberry.ID:
        """Return the transaction's number."""
        return strawberry.ID(str(self.row.tx_id))

    @resolved("The business that granted the points and pays.")
    async def issuer(self, info: Info) -> Business:
        """Return the issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @resolved("The business that took the points and is paid.")
    async def acceptor(self, info: Info) -> Business:
        """Return the acceptor."""
        return Business.of(await info.context.business(self.row.acceptor_id))

    @classmethod
    def of(cls, row: queries.Obligation) -> "Obligation":
        """Show a line."""
        return cls(
            row=row,
            points=row.points,
            rate=row.rate,
            amount=row.amount,
            currency=row.currency,
            business_date=row.business_date,
            occurred_at=row.occurred_at,
            posted_at=row.posted_at,
            late=row.late,
        )


async def obligation_page(
    context: Context, period_id: int, *, business: str | None, first: int | None, after: str | None
) -> Connection[Obligation]:
    """Return a page of a period's lines; a business gets those it issued or accepted.

    Raises Forbidden when a business asks for another's, Malformed for wrong page arguments,
    NotFound for an unknown business.
    """
    caller = require(context.principal, *SETTLEMENT_READERS)
    code = only_business(caller)
    if business is not None:
        code = visible_business(caller, asked=business)
    asked = window(first=first, after=after, last=None, before=None, shape=(str, int, int))
    only = None if code is None else (await context.business_by_code(code)).business_id
    beyond = None
    if asked.after is not None:
        day, tx_id, seq = asked.after
        beyond = cursor_day(day), tx_id, seq
    async with context.reading() as db:
        rows = await queries.obligations(
            db, period_id=period_id, business_id=only, first=asked.limit, after=beyond
        )
    return connection(
        rows,
        asked,
        node=Obligation.of,
        place=lambda row: (row.business_date.isoformat(), row.tx_id, row.seq),
    )
