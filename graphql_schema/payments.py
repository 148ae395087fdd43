"""Payments: what a period comes to, from the debtor's account to the creditor's."""

from datetime import datetime

import strawberry

from graphql_schema.context import Info
from graphql_schema.fields import count, resolved
from graphql_schema.money import Money
from graphql_schema.programme import Business
from hub.settlement import payments


@strawberry.type(description="A statement that a payment settles, alone or with others.")
class SettledStatement:
    """What a payment is for."""

    business_id: strawberry.Private[int]
    sha256: str = strawberry.field(description="The statement's hash, in hexadecimal.")
    stated: Money = strawberry.field(
        description="Its net amount in the payment's currency; positive: the business receives."
    )
    disputed: Money = strawberry.field(description="Of it, what is disputed and held back.")
    carried_in: Money = strawberry.field(description="Of it, what earlier periods had held back.")
    due: Money = strawberry.field(description="What is paid: stated less disputed.")
    lines: int = count("How many lines the statement rests on.")
    lines_sha256: str = strawberry.field(description="The hash of those lines, in hexadecimal.")

    @resolved("Whose statement it is.")
    async def business(self, info: Info) -> Business:
        """Return the business."""
        return Business.of(await info.context.business(self.business_id))


@strawberry.type(description="One amount that a business pays another for a period.")
class Payment:
    """A payment, for finance and for the two businesses."""

    row: strawberry.Private[payments.Payment]
    end_to_end_id: str = strawberry.field(description="By which both banks know it.")
    amount: Money = strawberry.field(description="What is paid, above zero.")
    state: str = strawberry.field(description="prepared, released or paid.")
    prepared_by: str = strawberry.field(description="Who prepared it.")
    prepared_at: datetime = strawberry.field(description="When it was prepared.")
    released_by: str | None = strawberry.field(description="Who released it: somebody else.")
    released_at: datetime | None = strawberry.field(description="When it was released.")
    paid_at: datetime | None = strawberry.field(description="When it was found paid.")
    paid_reference: str | None = strawberry.field(description="The bank's own reference.")
    advice: str = strawberry.field(
        description="Path of the remittance advice, a PDF; `?lang=zh` or `?lang=en`."
    )

    @resolved("The business that pays.")
    async def debtor(self, info: Info) -> Business:
        """Return the debtor."""
        return Business.of(await info.context.business(self.row.debtor_id))

    @resolved("The business that is paid.")
    async def creditor(self, info: Info) -> Business:
        """Return the creditor."""
        return Business.of(await info.context.business(self.row.creditor_id))

    @resolved(
        "The two statements that it settles, and so their lines: the debtor's first. To a business "
        "its own alone."
    )
    async def settles(self, info: Info) -> list[SettledStatement]:
        """Return what it is for."""

        def money(minor: int) -> Money:
            return Money(amount_minor=minor, currency=self.row.currency)

        return [
            SettledStatement(
                business_id=one.business_id,
                stated=money(one.stated_minor),
                disputed=money(one.disputed_minor),
                carried_in=money(one.carried_in_minor),
                due=money(one.due_minor),
                sha256=one.sha256.hex(),
                lines=one.lines,
                lines_sha256=one.lines_sha256.hex(),
            )
            for one in await info.context.load.settled.load(self.row.payment_id)
        ]

    @classmethod
    def of(cls, row: payments.Payment) -> "Payment":
        """Show a payment."""
        return cls(
            row=row,
            end_to_end_id=row.end_to_end_id,
            amount=Money(amount_minor=row.amount_minor, currency=row.currency),
            state=row.state,
            prepared_by=row.prepared_by,
            prepared_at=row.prepared_at,
            released_by=row.released_by,
            released_at=row.released_at,
            paid_at=row.paid_at,
            paid_reference=row.paid_reference,
            advice=f"/payments/{row.end_to_end_id}.pdf",
        )
