"""What staff correct, as those see it who may: adjustments, and what a member owes in money."""

from datetime import date
from enum import Enum

import strawberry
from strawberry import relay

from graphql_schema.context import Info
from graphql_schema.fields import count, resolved
from graphql_schema.programme import Business
from hub.points import adjustments, mending_queries


@strawberry.enum(description="What became of an adjustment.")
class AdjustmentState(Enum):
    """The states of hub.points.adjustments."""

    PROPOSED = strawberry.enum_value("proposed", description="It waits for a second person.")
    POSTED = strawberry.enum_value("posted", description="The points were moved.")
    DECLINED = strawberry.enum_value("declined", description="There were too few points.")
    REJECTED = strawberry.enum_value("rejected", description="Somebody said no to it.")


@strawberry.type(description="A correction of a member's points by staff.")
class Adjustment(relay.Node):
    """An adjustment, as it stands now."""

    row: strawberry.Private[adjustments.Adjustment]
    points: int = count("Points more (positive) or fewer (negative).")
    state: AdjustmentState = strawberry.field(description="What became of it.")
    reason: str = strawberry.field(description="Why it was proposed.")
    verdict: str | None = strawberry.field(description="Why it was rejected.")
    maker: str = strawberry.field(description="Who proposed it.")
    checker: str | None = strawberry.field(
        description="Who decided; null: nobody yet, or few enough points for its maker alone."
    )
    expires_on: date | None = strawberry.field(
        description="The last day of points that it adds; null: none is fixed."
    )

    @classmethod
    def resolve_id(cls, root: "Adjustment", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return f"{root.row.member_id}.{root.row.adjustment_id}"

    @classmethod
    def of(cls, row: adjustments.Adjustment) -> "Adjustment":
        """Show an adjustment."""
        return cls(
            row=row,
            points=row.points,
            state=AdjustmentState(row.state),
            reason=row.reason,
            verdict=row.verdict,
            maker=row.maker,
            checker=row.checker,
            expires_on=row.expires_on,
        )

    @resolved("The number of the member whose points it corrects.")
    def member_number(self) -> strawberry.ID:
        """Return the member's number, as it is on cards."""
        return strawberry.ID(str(self.row.member_id))

    @resolved("The business that bears it.")
    async def business(self, info: Info) -> Business:
        """Return the business in whose books it stands."""
        return Business.of(await info.context.business(self.row.business_id))


@strawberry.type(description="What a member owes a business in money, since a refund.")
class Receivable:
    """An open receivable."""

    issuer_id: strawberry.Private[int]
    clawback: strawberry.ID = strawberry.field(
        description="Number of the clawback that could not take the points: `recoverReceivable` "
        "asks for it."
    )
    points: int = count("Points that could not be taken.")
    remaining: int = count("Of these, not yet paid, written off or taken.")

    @classmethod
    def of(cls, row: mending_queries.Receivable) -> "Receivable":
        """Show a receivable."""
        return cls(
            issuer_id=row.issuer_id,
            clawback=strawberry.ID(str(row.clawback_tx)),
            points=row.points,
            remaining=row.remaining,
        )

    @resolved("The business that is owed.")
    async def issuer(self, info: Info) -> Business:
        """Return the points' issuer."""
        return Business.of(await info.context.business(self.issuer_id))
