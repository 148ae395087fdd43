"""Retentions: what forbids that a member is erased, as staff see it."""

from datetime import datetime

import strawberry

from graphql_schema.fields import shown
from hub.privacy import retain


@strawberry.type(
    description="Why a member may not be erased: a dispute, an audit, a court's order."
)
class Retention:
    """A retention, as it stands now."""

    number: strawberry.ID = strawberry.field(
        description="Its number: `releaseRetention` asks for it."
    )
    member_number: strawberry.ID = strawberry.field(
        description="The number of the member on whom it was placed; of who is merged by now, the "
        "one that it had."
    )
    holds: bool = strawberry.field(description="Whether it forbids an erasure now.")
    reason: str = strawberry.field(description="Why it was placed.")
    placed_by: str = strawberry.field(description="Who placed it.")
    placed_at: datetime = strawberry.field(description="When.")
    ends_at: datetime | None = strawberry.field(
        description="From when it no longer holds; null: until it is released."
    )
    released_at: datetime | None = strawberry.field(
        description="When it was released; null: it was not."
    )
    released_by: str | None = strawberry.field(description="Who released it.")
    released_because: str | None = strawberry.field(
        description="Why it was released; null, too, of what was released before that was asked."
    )

    @classmethod
    def of(cls, row: retain.Retention, *, now: datetime) -> "Retention":
        """Show a retention."""
        return shown(
            cls,
            row,
            number=strawberry.ID(str(row.retention_id)),
            member_number=strawberry.ID(str(row.member_id)),
            holds=row.holds(now),
        )
