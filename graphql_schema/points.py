"""Points as members hold them: balance, lots, holds."""

from datetime import date, datetime
from typing import ClassVar

import strawberry
from strawberry import relay

from graphql_schema.context import Info
from graphql_schema.fields import count, key_of, resolved, said, shown
from graphql_schema.plan.declared import BusinessOf, Column
from graphql_schema.programme import Business
from hub.ledger import queries as ledger
from hub.ledger.codes import Unit
from hub.points import notice_queries as notices

SPENDABLE = {"unit": str(int(Unit.SPENDABLE))}
"""What balances and what ends are told of."""


@strawberry.type(description="What a member has. All counts are points.")
class Balance:
    """A member's balance in both units."""

    available: int = count(
        "What can be spent now: posted, less held, less not active yet, less past its last day."
    )
    posted: int = count("All spendable points that are the member's.")
    held: int = count("Of these, set aside at tills until captured, voided or lapsed.")
    pending: int = count("Of these, not active yet: they become so by time or by check-out.")
    owed: int = count("Taken back below zero; points to come repay it.")
    qualifying: int = count("Points that move the member up the tiers; they are never spent.")

    @classmethod
    def of(cls, row: ledger.Balance) -> "Balance":
        """Show a balance."""
        return shown(cls, row)


@strawberry.type(description="The points of one earn that are left, and until when.")
class Lot(relay.Node):
    """A lot that is not used up."""

    node_key: ClassVar = ("member_id", "lot_id")
    member_id: strawberry.Private[int]
    lot_id: strawberry.Private[int]
    issuer_id: strawberry.Private[int]
    earned: int = count("Points that were earned.")
    remaining: int = count("Points that are left of them.")
    expires_on: date | None = strawberry.field(
        description="The last day on which they can be spent; null: they never expire."
    )

    @classmethod
    def resolve_id(cls, root: "Lot", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return key_of(cls.node_key, root)

    @classmethod
    def of(cls, row: ledger.Lot) -> "Lot":
        """Show a lot."""
        return shown(cls, row)

    @resolved("The business that granted the points and owes them.", plan=BusinessOf("issuer_id"))
    async def issuer(self, info: Info) -> Business:
        """Return the lot's issuer."""
        return Business.of(await info.context.business(self.issuer_id))


@strawberry.type(description="Points set aside at a till.")
class Hold(relay.Node):
    """A hold, as it stands now."""

    node_key: ClassVar = ("member_id", "hold_id")
    member_id: strawberry.Private[int]
    hold_id: strawberry.Private[int]
    business_id: strawberry.Private[int]
    points: int = count("Points that were set aside.")
    captured: int = count("Of these, spent.")
    voided: int = count("Of these, given back.")
    remaining: int = count("Of these, still set aside.")
    open: bool = strawberry.field(description="Whether any are still set aside.")
    expires_at: datetime = strawberry.field(
        description="When what is left of it lapses; a capture from then on comes too late."
    )

    @classmethod
    def resolve_id(cls, root: "Hold", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return key_of(cls.node_key, root)

    @classmethod
    def of(cls, row: ledger.Hold) -> "Hold":
        """Show a hold."""
        return shown(cls, row)

    @resolved("The business that holds them.", plan=BusinessOf("business_id"))
    async def business(self, info: Info) -> Business:
        """Return where the hold was placed."""
        return Business.of(await info.context.business(self.business_id))


@strawberry.type(description="What a member was told about points that end.")
class ExpiryNotice:
    """The latest notice of a unit and a day."""

    unit: str = said("The unit of the points, by its code.", plan=Column("unit_code"))
    points: int = count("Points that end, as it was when the notice was given.")
    expires_on: date = strawberry.field(description="The last day on which they can be spent.")
    days_ahead: int = count("From how many days ahead it was due: 30, 7 or 1.")
    given_at: datetime = strawberry.field(description="When it was given.")

    @classmethod
    def of(cls, row: notices.ExpiryNotice) -> "ExpiryNotice":
        """Show a notice."""
        return shown(cls, row)
