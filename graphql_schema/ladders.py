"""Ladders of tiers as they are set up: how each counts, and what its tiers ask for."""

from datetime import datetime

import strawberry

from graphql_schema.access import EVERYBODY, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import count, resolved
from graphql_schema.programme import Business
from graphql_schema.tiers import TierAskKind, TierNeed
from graphql_schema.versions import SINCE, told
from hub.benefits.tiers import terms
from hub.benefits.tiers.ladder import KINDS


@strawberry.type(description="How much of one kind of activity is asked for.")
class TermsAsk:
    """An ask."""

    kind: TierAskKind = strawberry.field(description="What is asked for, and in which unit.")
    asked: int = count("How much.")


def _asks(row: terms.Asks) -> list[TermsAsk]:
    pairs = zip(KINDS, row, strict=True)
    return [TermsAsk(kind=TierAskKind(kind), asked=ask) for kind, ask in pairs if ask is not None]


@strawberry.type(description="A version of what a tier asks for.")
class TierTerms:
    """A version of a tier."""

    code: str = strawberry.field(description="The tier's short name.")
    rank: int = strawberry.field(description="Where it stands: the higher, the better.")
    effective_from: datetime = strawberry.field(description=SINCE)
    name: str = strawberry.field(description="The tier's name.")
    name_zh: str = strawberry.field(description="The tier's name in Chinese.")
    need: TierNeed = strawberry.field(description="Whether any of what is asked will do.")
    reach: list[TermsAsk] = strawberry.field(
        description="What gives it, within a window of the ladder; none: everybody has it."
    )
    keep: list[TermsAsk] = strawberry.field(description="What keeps it for another period.")
    life: list[TermsAsk] = strawberry.field(
        description="What, since ever, gives it for life; none: nothing does."
    )

    @classmethod
    def of(cls, row: terms.TierTerms) -> "TierTerms":
        """Show a version."""
        return cls(
            code=row.code,
            rank=row.rank,
            effective_from=row.effective_from,
            name=row.name,
            name_zh=row.name_zh,
            need=TierNeed(row.need),
            reach=_asks(row.reach),
            keep=_asks(row.keep),
            life=_asks(row.life),
        )


@strawberry.type(description="A version of how a ladder counts.")
class LadderTermsVersion:
    """A version of a ladder."""

    effective_from: datetime = strawberry.field(description=SINCE)
    name: str = strawberry.field(description="The ladder's name.")
    name_zh: str = strawberry.field(description="The ladder's name in Chinese.")
    window: str = strawberry.field(
        description="What activity counts: that of a calendar_year, of `months` before a day "
        "(rolling), or of a year from an anniversary of joining."
    )
    months: int = strawberry.field(description="How long the window is.")
    grace_days: int = strawberry.field(
        description="Days after a period's end on which its tier is held still."
    )
    step_down: str = strawberry.field(
        description="Whither a tier that is not kept leads: one_step, or to_qualified."
    )
    currency: str | None = strawberry.field(
        description="ISO 4217 currency of the spend that counts; null: spend does not."
    )

    @classmethod
    def of(cls, row: terms.LadderTerms) -> "LadderTermsVersion":
        """Show a version."""
        return cls(
            effective_from=row.effective_from,
            name=row.name,
            name_zh=row.name_zh,
            window=row.window,
            months=row.months,
            grace_days=row.grace_days,
            step_down=row.step_down,
            currency=row.currency,
        )


@strawberry.type(description="A ladder of tiers, and what it asks for.")
class LadderTerms:
    """A ladder and its versions."""

    row: strawberry.Private[terms.Ladder]
    code: str = strawberry.field(description="Its short name; `group` is the group's own.")

    @resolved("The business at which alone activity counts; null: everywhere.")
    async def business(self, info: Info) -> Business | None:
        """Return whose ladder it is."""
        if self.row.business_id is None:
            return None
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("How it counts, version by version, the newest first.")
    async def versions(self, info: Info) -> list[LadderTermsVersion]:
        """Return the versions that the caller may see."""
        rows = await told(info.context, self.row.versions, self.row.business_id)
        return [LadderTermsVersion.of(row) for row in rows]

    @resolved("Its tiers, the lowest first, each version by version, the newest first.")
    async def tiers(self, info: Info) -> list[TierTerms]:
        """Return the versions that the caller may see."""
        rows = await told(info.context, self.row.tiers, self.row.business_id)
        return [TierTerms.of(row) for row in rows]


async def ladder_terms(context: Context) -> list[LadderTerms]:
    """Return all ladders."""
    require(context.principal, *EVERYBODY)
    return [LadderTerms(row=row, code=row.code) for row in await context.load.ladders()]
