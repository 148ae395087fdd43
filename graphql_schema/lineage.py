"""Where a member comes from: its births, and what joins them."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from graphql_schema.fields import resolved
from hub.members import lineage as members


@strawberry.type(description="A member as it was born; merging leaves it as it is.")
class Birth:
    """A birth."""

    number: strawberry.ID = strawberry.field(
        description="The number it was born with; it leads to the member for ever."
    )
    born_at: datetime = strawberry.field(description="When the hub met it.")
    accounts: int = strawberry.field(description="How many accounts are its own.")


@strawberry.type(description="What makes two births one person, or once did.")
class MemberEdge:
    """An edge."""

    row: strawberry.Private[members.Edge]
    births: list[strawberry.ID] = strawberry.field(description="The two births, the older first.")
    method: str = strawberry.field(description="`staff` or `batch`.")
    score: float | None = strawberry.field(description="How much spoke for it: a matcher's weight.")
    reason: str | None = strawberry.field(description="Why, in words.")
    made_at: datetime = strawberry.field(description="When they were merged.")
    made_by: str = strawberry.field(description="By whom.")
    revoked_at: datetime | None = strawberry.field(description="When they were split.")
    revoked_by: str | None = strawberry.field(description="By whom.")
    revoked_because: str | None = strawberry.field(description="Why they were split.")

    @resolved("What a matcher found: fields, levels and weights, and nothing that they say.")
    def evidence(self) -> JSON | None:
        """Return the evidence."""
        return None if self.row.evidence is None else JSON(self.row.evidence)


@strawberry.type(description="That two births are two people.")
class NonMatch:
    """A verdict."""

    births: list[strawberry.ID] = strawberry.field(description="The two births, the older first.")
    reason: str = strawberry.field(description="Why, in words.")
    said_at: datetime = strawberry.field(description="Since when.")
    said_by: str = strawberry.field(description="By whom.")
    lifted_at: datetime | None = strawberry.field(description="Until when; null: it stands.")
    lifted_by: str | None = strawberry.field(description="By whom it was lifted.")


@strawberry.type(description="Where a member comes from; what was ended is shown too.")
class Lineage:
    """A lineage."""

    births: list[Birth] = strawberry.field(description="The births that are the member now.")
    edges: list[MemberEdge] = strawberry.field(description="What joins them, or did, oldest first.")
    non_matches: list[NonMatch] = strawberry.field(description="Whom they are not, oldest first.")

    @classmethod
    def of(cls, found: members.Lineage) -> "Lineage":
        """Show a member's lineage."""
        return cls(
            births=[
                Birth(
                    number=strawberry.ID(str(one.member_id)),
                    born_at=one.created_at,
                    accounts=len(one.account_ids),
                )
                for one in found.births
            ],
            edges=[
                MemberEdge(
                    row=one,
                    births=_pair(one),
                    method=one.method,
                    score=one.score,
                    reason=one.reason,
                    made_at=one.made_at,
                    made_by=one.made_by,
                    revoked_at=one.revoked_at,
                    revoked_by=one.revoked_by,
                    revoked_because=one.revoked_because,
                )
                for one in found.edges
            ],
            non_matches=[
                NonMatch(
                    births=_pair(one),
                    reason=one.reason,
                    said_at=one.said_at,
                    said_by=one.said_by,
                    lifted_at=one.lifted_at,
                    lifted_by=one.lifted_by,
                )
                for one in found.non_matches
            ],
        )


def _pair(one: members.Edge | members.NonMatch) -> list[strawberry.ID]:
    return [strawberry.ID(str(one.low_member_id)), strawberry.ID(str(one.high_member_id))]
