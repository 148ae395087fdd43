"""Obligations: the lines of a settlement period."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum

import strawberry

from graphql_schema.access import SETTLEMENT_READERS, only_business, require, visible_business
from graphql_schema.context import Context, Info
from graphql_schema.disputes import Dispute
from graphql_schema.fields import count, resolved
from graphql_schema.filters import DIRECTION, Direction
from graphql_schema.pages import Connection, Window, connection
from graphql_schema.postings import Posting, posting_of
from graphql_schema.programme import Business
from hub.db.keyset import Keyset
from hub.errors import Malformed
from hub.settlement import queries
from hub.settlement.codes import LineKind, Source

_KINDS = {kind.name.lower(): kind.value for kind in LineKind}


@strawberry.type(
    description="What one business owes another for one lot of points, or one use of a benefit."
)
class Obligation:
    """A line of a period. It names accounts by number, never a person."""

    row: strawberry.Private[queries.Obligation]
    number: int = count("The line's number, by which it is disputed.")
    points: int = count("Points that were taken, issued or ended; negative when given back.")
    kind: str = strawberry.field(
        description="What it is owed for: redemption, issue, breakage, benefit, voucher, plan, "
        "commission, correction …."
    )
    rate: Decimal | None = strawberry.field(
        description="Major units per point, exact; null where nothing is counted in points."
    )
    amount: Decimal = strawberry.field(
        description="Major units that the debtor owes, exact: points × rate, or a price."
    )
    tax_code: str | None = strawberry.field(description="The agreement's tax, if it names one.")
    tax_rate: Decimal | None = strawberry.field(description="The tax as a fraction: 0.06 is 6%.")
    tax_included: bool | None = strawberry.field(
        description="Whether the amount contains the tax, or the tax comes on top."
    )
    currency: str = strawberry.field(description="ISO 4217 currency of rate and amount.")
    business_date: date = strawberry.field(description="The trading day on which it happened.")
    issued_on: date | None = strawberry.field(
        description="Of points that were sold at issue: the day on which they were issued."
    )
    occurred_at: datetime = strawberry.field(description="When it happened in the shop.")
    posted_at: datetime = strawberry.field(description="When the ledger recorded it.")
    late: bool = strawberry.field(
        description="Whether its trading day lies before the period: it missed an earlier close."
    )

    @resolved("Number of the transaction, as on the receipt; null for a use of a benefit.")
    def transaction(self) -> strawberry.ID | None:
        """Return the transaction's number."""
        return strawberry.ID(str(self.row.tx_id)) if self.row.source == Source.ENTRY else None

    @resolved("What was posted when the points were taken or given back; null for other kinds.")
    async def posting(self, info: Info) -> Posting | None:
        """Return where the line's transaction came from."""
        return await posting_of(info, self.row.tx_id) if self.row.source == Source.ENTRY else None

    @resolved("What was posted when the consumed lot was given out; null for other kinds.")
    async def lot_posting(self, info: Info) -> Posting | None:
        """Return where the lot's transaction came from."""
        lot_id = await info.context.load.lots_consumed.load(self.row.line_id)
        return None if lot_id is None else await posting_of(info, lot_id)

    @resolved("The business that pays.")
    async def debtor(self, info: Info) -> Business:
        """Return the debtor."""
        return Business.of(await info.context.business(self.row.debtor_id))

    @resolved("The business that is paid.")
    async def creditor(self, info: Info) -> Business:
        """Return the creditor."""
        return Business.of(await info.context.business(self.row.creditor_id))

    @resolved("The business that granted the points; null for a use of a benefit.")
    async def issuer(self, info: Info) -> Business | None:
        """Return the issuer."""
        return await _business(info, self.row.issuer_id)

    @resolved("The business that took the points, where some did.")
    async def acceptor(self, info: Info) -> Business | None:
        """Return the acceptor."""
        return await _business(info, self.row.acceptor_id)

    @resolved("The latest dispute about it; null: nobody has disputed it.")
    async def dispute(self, info: Info) -> Dispute | None:
        """Return the dispute that the line was last part of."""
        row = await info.context.load.disputes_of_lines.load(self.row.line_id)
        return None if row is None else Dispute.of(row)

    @classmethod
    def of(cls, row: queries.Obligation) -> "Obligation":
        """Show a line."""
        return cls(
            row=row,
            number=row.line_id,
            points=row.points,
            kind=LineKind(row.kind).name.lower(),
            tax_code=row.tax_code,
            tax_rate=row.tax_rate,
            tax_included=row.tax_included,
            rate=row.rate,
            amount=row.amount,
            currency=row.currency,
            business_date=row.business_date,
            issued_on=row.issued_on,
            occurred_at=row.occurred_at,
            posted_at=row.posted_at,
            late=row.late,
        )


async def _business(info: Info, business_id: int | None) -> Business | None:
    return None if business_id is None else Business.of(await info.context.business(business_id))


@strawberry.input(description="Which lines; all that is said holds.")
class ObligationFilter:
    """By whose, what and when."""

    business: str | None = strawberry.field(
        default=None, description="What it owes or is owed: a business's code."
    )
    debtor: str | None = strawberry.field(
        default=None, description="What it owes: a business's code."
    )
    creditor: str | None = strawberry.field(
        default=None, description="What it is owed: a business's code."
    )
    kinds: list[str] | None = strawberry.field(
        default=None, description=f"Of these kinds: {', '.join(_KINDS)}."
    )
    from_day: date | None = strawberry.field(
        name="from", default=None, description="On that business date or later."
    )
    until_day: date | None = strawberry.field(
        name="until", default=None, description="On that business date or before."
    )


@strawberry.enum(description="By what lines are ordered.")
class ObligationOrderField(Enum):
    """The orders of hub.settlement.queries."""

    BUSINESS_DATE = strawberry.enum_value(
        "business_date", description="The trading day, and the receipts of a day."
    )


@strawberry.input(description="How lines are ordered.")
class ObligationOrder:
    """By what, and which way."""

    field: ObligationOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


ORDERS = {"BUSINESS_DATE": queries.LINES}


async def obligation_page(
    context: Context,
    period_id: int,
    asked: Window,
    *,
    only: ObligationFilter,
    order: Keyset,
) -> Connection[Obligation]:
    """Return a page of a period's lines; a business gets those it owes or is owed.

    Raises Forbidden when a business asks for another's, NotFound for an unknown business,
    Malformed for an unknown kind.
    """
    caller = require(context.principal, *SETTLEMENT_READERS)
    code = only_business(caller)
    if only.business is not None:
        code = visible_business(caller, asked=only.business)
    unknown = {*(only.kinds or ())} - {*_KINDS}
    if unknown:
        raise Malformed(f"kinds are {', '.join(_KINDS)}", field="filter.kinds")
    said = queries.LineFilter(
        business_id=await _numbered(context, code),
        debtor_id=await _numbered(context, only.debtor),
        creditor_id=await _numbered(context, only.creditor),
        kinds=None if only.kinds is None else tuple(sorted(_KINDS[kind] for kind in only.kinds)),
        from_day=only.from_day,
        until_day=only.until_day,
    )
    rows = await context.load.pages.lines.load(((said, order), asked.stretch, period_id))
    return connection(rows, asked, node=Obligation.of, place=order.place)


async def _numbered(context: Context, code: str | None) -> int | None:
    return None if code is None else (await context.business_by_code(code)).business_id
