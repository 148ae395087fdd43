"""What of a member's card tells of tiers that were: held, told of, given by hand."""

from datetime import datetime
from typing import Annotated

import strawberry

from graphql_schema import access
from graphql_schema.context import Info
from graphql_schema.fields import resolved
from graphql_schema.filters import filtered_page, refuse_unknown, said
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.tiers import HeldTier, TierAward, TierNotice, TierReason
from hub.benefits.tiers.history import STEPS, HistoryFilter


@strawberry.input(description="Which of the tiers that were held; all that is said holds.")
class TierHistoryFilter:
    """By which, why and when."""

    ladder: str | None = strawberry.field(
        default=None, description="Of this ladder, by its short name."
    )
    tier: str | None = strawberry.field(default=None, description="This one, by its short name.")
    reasons: list[TierReason] | None = strawberry.field(
        default=None, description="Given for one of these reasons."
    )
    since_from: datetime | None = strawberry.field(
        default=None, description="Given then or later, with an offset from UTC."
    )
    since_before: datetime | None = strawberry.field(
        default=None, description="Given before then, with an offset from UTC."
    )
    held_at: datetime | None = strawberry.field(
        default=None, description="Held at that moment, with an offset from UTC."
    )
    undone: bool | None = strawberry.field(
        default=None, description="Those undone with a merge, or the others."
    )


@strawberry.type
class TierHolder:
    """Who has been on ladders."""

    member_id: strawberry.Private[int]

    @resolved("The tiers that the member has held, latest first; a business sees those of no other "
              "business's ladder.")  # fmt: skip
    async def tier_history(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            TierHistoryFilter | None, strawberry.argument(description="Only these tiers.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[HeldTier]:
        """Return a page of history; raises NotFound for an unknown ladder or tier."""
        own = access.only_business(access.require(info.context.principal, *access.MEMBER_READERS))
        told = said(filter)
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked = filtered_page(filter, STEPS, **paging)
        if "reasons" in told:
            told["reasons"] = tuple(dict.fromkeys(reason.value for reason in told["reasons"]))
        only = HistoryFilter(business=own, **told)
        rows = await info.context.load.pages.tiers.load((only, asked.stretch, self.member_id))
        if not rows:
            await refuse_unknown(info.context, told, "ladder", "tier")
        return connection(rows, asked, node=HeldTier.of, place=STEPS.place)

    @resolved("What the member was told of tiers, newest first; at most 20. A business is shown "
              "none.")  # fmt: skip
    async def tier_notices(self, info: Info) -> list[TierNotice]:
        """Return the notices that the caller may see."""
        caller = access.require(info.context.principal, *access.MEMBER_READERS)
        if not access.reads_notices(caller):
            return []
        rows = await info.context.load.tier_notices.load(self.member_id)
        return [TierNotice.of(row) for row in rows]

    @resolved("Tiers given by hand or matched, newest first; at most 100. For staff.")
    async def tier_awards(self, info: Info) -> list[TierAward]:
        """Return the awards."""
        access.require(info.context.principal, *access.CORRECTORS)
        rows = await info.context.load.tier_awards.load(self.member_id)
        return [TierAward.of(row) for row in rows]
