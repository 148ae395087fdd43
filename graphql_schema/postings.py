"""Postings: what a number in the books came from, down to the delivery that told of it."""

from datetime import datetime

import strawberry

from graphql_schema.access import SETTLEMENT_READERS, only_business, require
from graphql_schema.context import Info
from graphql_schema.fields import resolved
from graphql_schema.programme import Business
from hub.intake.trace import Trace


@strawberry.type(description="A transaction of the ledger, and where it came from.")
class Posting:
    """A transaction as who reconciles it sees it: no person is named."""

    row: strawberry.Private[Trace]
    own: strawberry.Private[bool]
    transaction: strawberry.ID = strawberry.field(description="Its number, as on the receipt.")
    kind: str = strawberry.field(description="What was done: earn, redeem, capture, restore …")
    occurred_at: datetime = strawberry.field(description="When it happened in the shop.")
    posted_at: datetime = strawberry.field(description="When the ledger recorded it.")

    @resolved("The business where it happened.")
    async def business(self, info: Info) -> Business:
        """Return the acting business."""
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("The key under which the business asked for it; null for another business's.")
    def reference(self) -> str | None:
        """Return the till's own key."""
        return self.row.reference if self.own else None

    @resolved(
        "The sale, stay or refund in the business's own system, such as a receipt's number; null "
        "for another business's, and for what no system told of."
    )
    def document(self) -> str | None:
        """Return the document's id."""
        return self.row.document if self.own else None

    @resolved("The connection that it came in by; null as `document` is.")
    def connection(self) -> str | None:
        """Return the connection's code."""
        return self.row.connection if self.own else None

    @resolved("Number of the delivery that told of it, for `hub intake`; null as `document` is.")
    def delivery(self) -> strawberry.ID | None:
        """Return the delivery's number."""
        told = self.row.delivery_id if self.own else None
        return None if told is None else strawberry.ID(str(told))


async def posting_of(info: Info, tx_id: int) -> Posting | None:
    """Show a transaction of the ledger. What is a business's own, another business is not told."""
    caller = require(info.context.principal, *SETTLEMENT_READERS)
    row = await info.context.load.traces.load(tx_id)
    if row is None:
        return None
    code = only_business(caller)
    business = await info.context.business(row.business_id)
    return Posting(
        row=row,
        own=code in (None, business.code),
        transaction=strawberry.ID(str(row.tx_id)),
        kind=row.kind.name.lower(),
        occurred_at=row.occurred_at,
        posted_at=row.posted_at,
    )
