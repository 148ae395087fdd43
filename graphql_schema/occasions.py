"""What members were given on their birthdays and anniversaries."""

from datetime import datetime

import strawberry

from graphql_schema import access
from graphql_schema.context import Context, Info
from graphql_schema.fields import resolved
from graphql_schema.programme import Business
from hub.benefits.occasions.queries import OccasionGrant


@strawberry.type(description="What a member was given on a birthday or an anniversary.")
class OccasionGift:
    """A gift, once in a year of the occasion's calendar."""

    issuer_id: strawberry.Private[int | None]
    occasion: str = strawberry.field(description="The occasion's short name.")
    kind: str = strawberry.field(description="What it is: birthday or anniversary.")
    calendar: str = strawberry.field(description="What it is kept by: gregorian or lunar.")
    name: str = strawberry.field(description="The occasion's name.")
    name_zh: str = strawberry.field(description="The occasion's name in Chinese.")
    year: int = strawberry.field(description="The year that it was given for, by its calendar.")
    points: int | None = strawberry.field(description="How many points; null: none.")
    voucher: strawberry.ID | None = strawberry.field(
        description="The number of the voucher; null: none."
    )
    benefit: str | None = strawberry.field(
        description="The short name of the benefit that may be used; null: none."
    )
    given_at: datetime = strawberry.field(description="When it was given.")

    @resolved("Who issued the points; null when there were none.")
    async def issuer(self, info: Info) -> Business | None:
        """Return the issuer."""
        if self.issuer_id is None:
            return None
        return Business.of(await info.context.business(self.issuer_id))

    @classmethod
    def of(cls, row: OccasionGrant) -> "OccasionGift":
        """Show a grant."""
        return cls(
            issuer_id=row.business_id,
            occasion=row.occasion_code,
            kind=row.kind,
            calendar=row.calendar,
            name=row.name,
            name_zh=row.name_zh,
            year=row.year,
            points=row.points,
            voucher=None if row.voucher_id is None else strawberry.ID(str(row.voucher_id)),
            benefit=row.benefit,
            given_at=row.given_at,
        )


async def visible_occasions(context: Context, member_id: int) -> list[OccasionGift]:
    """Return a member's gifts to whoever may read its birthday, which they tell."""
    if not access.reads_birthday(access.require(context.principal, *access.MEMBER_READERS)):
        return []
    return [OccasionGift.of(row) for row in await context.load.occasions.load(member_id)]
