"""Ladders: a member's places on them, what is missing for more, what keeps them, and history."""

from datetime import date, datetime
from enum import Enum

import strawberry

from graphql_schema.context import Info
from graphql_schema.fields import count, resolved, shown
from graphql_schema.programme import Business
from hub.benefits.tiers import awards, history, notices, progress
from hub.benefits.tiers.ladder import KINDS


@strawberry.enum(description="What a tier asks for, each in its own unit.")
class TierAskKind(Enum):
    """The kinds of activity that count for tiers."""

    POINTS = strawberry.enum_value("points", description="Qualifying points.")
    SPEND = strawberry.enum_value(
        "spend_minor", description="Spend, in minor units of the ladder's currency."
    )
    VISITS = strawberry.enum_value("visits", description="Days at a business with a purchase.")
    NIGHTS = strawberry.enum_value("nights", description="Nights of completed stays.")
    REFERRALS = strawberry.enum_value("referrals", description="People who came on a referral.")


@strawberry.enum(description="Whether any of what is asked will do, or all of it must be done.")
class TierNeed(Enum):
    """How asks combine."""

    ANY = strawberry.enum_value("any", description="Any one of them.")
    ALL = strawberry.enum_value("all", description="All of them.")


@strawberry.enum(description="Why a tier is, or was, held.")
class TierReason(Enum):
    """The reasons of a move on a ladder."""

    REACHED = strawberry.enum_value("reached", description="What was done reached it.")
    TAKEN_BACK = strawberry.enum_value(
        "taken_back", description="A refund took away what had reached a higher one."
    )
    KEPT = strawberry.enum_value("kept", description="It was kept for another period.")
    STEPPED_DOWN = strawberry.enum_value(
        "stepped_down", description="Too little was done to keep a higher one."
    )
    LIFETIME = strawberry.enum_value("lifetime", description="It was reached for life.")
    GRANTED = strawberry.enum_value("granted", description="It was given by hand.")
    MATCHED = strawberry.enum_value("matched", description="It matches a partner's status.")
    ENDED = strawberry.enum_value("ended", description="A higher one that was given is over.")
    MERGED = strawberry.enum_value("merged", description="Somebody who is the same had it.")
    SPLIT = strawberry.enum_value("split", description="It was held before a merge taken back.")


@strawberry.type(description="One thing that a tier asks for.")
class TierAsk:
    """An ask, in the unit of its kind."""

    kind: TierAskKind = strawberry.field(description="What is asked for, and in which unit.")
    asked: int = count("How much.")
    done: int = count("How much of it is done, net of refunds.")
    missing: int = count("How much is still missing.")


@strawberry.type(description="What leads to a tier, or keeps it for another period.")
class TierWay:
    """A way to a tier."""

    code: str = strawberry.field(description="The tier's short name.")
    name: str = strawberry.field(description="The tier's name.")
    name_zh: str = strawberry.field(description="The tier's name in Chinese.")
    need: TierNeed = strawberry.field(description="Whether any of `asks` will do.")
    asks: list[TierAsk] = strawberry.field(description="Everything that counts for it.")
    starts_on: date = strawberry.field(description="The first day on which it counts.")
    by: date = strawberry.field(description="The last day on which it counts.")
    met: bool = strawberry.field(description="Whether enough is done already.")

    @classmethod
    def of(cls, way: progress.Way) -> "TierWay":
        """Show a way."""
        return cls(
            code=way.code,
            name=way.name,
            name_zh=way.name_zh,
            need=TierNeed(way.need),
            asks=[
                TierAsk(
                    kind=TierAskKind(ask.kind), asked=ask.asked, done=ask.done, missing=ask.missing
                )
                for ask in way.asks
            ],
            starts_on=way.starts_on,
            by=way.by,
            met=way.met,
        )


@strawberry.type(description="Where a member stands on one ladder.")
class LadderPlace:
    """A place on a ladder, today."""

    business_id: strawberry.Private[int | None]
    ladder: str = strawberry.field(description="The ladder's short name; `group` is the group's.")
    ladder_name: str = strawberry.field(description="The ladder's name.")
    ladder_name_zh: str = strawberry.field(description="The ladder's name in Chinese.")
    currency: str | None = strawberry.field(description="Of spend, where spend counts.")
    tier: str | None = strawberry.field(description="The tier's short name; null: none yet.")
    name: str | None = strawberry.field(description="The tier's name.")
    name_zh: str | None = strawberry.field(description="The tier's name in Chinese.")
    since: datetime | None = strawberry.field(description="When it was given.")
    reason: TierReason | None = strawberry.field(description="Why it is held.")
    valid_until: date | None = strawberry.field(
        description="The last day on which it is held without more; null: for good."
    )
    next: TierWay | None = strawberry.field(description="The way up; null at the top.")
    keep: TierWay | None = strawberry.field(
        description="What keeps the tier beyond `validUntil`; null: nothing need be done, or it "
        "was given for that time alone."
    )

    @classmethod
    def of(cls, place: progress.Place) -> "LadderPlace":
        """Show a place."""
        return cls(
            business_id=place.business_id,
            ladder=place.ladder,
            ladder_name=place.ladder_name,
            ladder_name_zh=place.ladder_name_zh,
            currency=place.currency,
            tier=place.tier,
            name=place.name,
            name_zh=place.name_zh,
            since=place.since,
            reason=TierReason(place.reason) if place.reason else None,
            valid_until=place.valid_until,
            next=TierWay.of(place.next) if place.next else None,
            keep=TierWay.of(place.keep) if place.keep else None,
        )

    @resolved("Whose ladder it is; null: the group's.")
    async def business(self, info: Info) -> Business | None:
        """Return the business at which activity counts."""
        if self.business_id is None:
            return None
        return Business.of(await info.context.business(self.business_id))


@strawberry.type(description="A tier that a member held for a time.")
class HeldTier:
    """A row of history."""

    ladder: str = strawberry.field(description="The ladder's short name.")
    tier: str = strawberry.field(description="The tier's short name.")
    since: datetime = strawberry.field(description="When it was given.")
    until: datetime | None = strawberry.field(description="When it ended; null: held now.")
    valid_until: date | None = strawberry.field(
        description="The last day on which it was to be held; null: for good."
    )
    reason: TierReason = strawberry.field(description="Why it was given.")
    undone: bool = strawberry.field(
        description="Whether a merge had led to it that was taken back."
    )

    @classmethod
    def of(cls, row: history.HeldTier) -> "HeldTier":
        """Show a row."""
        return cls(
            ladder=row.ladder,
            tier=row.tier,
            since=row.since,
            until=row.until,
            valid_until=row.valid_until,
            reason=TierReason(row.reason),
            undone=row.undone,
        )


@strawberry.type(description="One thing that must be done in a trial.")
class TierChallenge:
    """A part of a challenge."""

    kind: TierAskKind = strawberry.field(description="What is asked for, and in which unit.")
    asked: int = count("How much.")


@strawberry.type(description="A tier given by hand, or matched with a partner's status.")
class TierAward:
    """An award, as it stands now."""

    number: strawberry.ID = strawberry.field(description="Its number: `revokeTier` asks for it.")
    tier: str = strawberry.field(description="The tier's short name.")
    reason: str = strawberry.field(description="Why it was given.")
    partner: str | None = strawberry.field(description="Whose status it matches, if it does.")
    evidence: str | None = strawberry.field(description="What was seen of that status.")
    starts_on: date = strawberry.field(description="Its first day.")
    trial_until: date | None = strawberry.field(
        description="The last day of its trial; null: it is none."
    )
    challenge: list[TierChallenge] = strawberry.field(
        description="All that must be done in the trial for it to last; none: it is no trial."
    )
    valid_until: date = strawberry.field(description="Its last day.")
    given_by: str = strawberry.field(description="Who gave it.")
    given_at: datetime = strawberry.field(description="When.")
    revoked_by: str | None = strawberry.field(description="Who revoked it.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked.")
    revoked_because: str | None = strawberry.field(description="Why it was revoked.")

    @classmethod
    def of(cls, row: awards.TierAward) -> "TierAward":
        """Show an award."""
        asks = zip(KINDS, row.challenge or (), strict=False)
        return cls(
            number=strawberry.ID(str(row.award_id)),
            tier=row.tier,
            reason=row.reason,
            partner=row.partner,
            evidence=row.evidence,
            starts_on=row.starts_on,
            trial_until=row.trial_until,
            challenge=[
                TierChallenge(kind=TierAskKind(kind), asked=ask)
                for kind, ask in asks
                if ask is not None
            ],
            valid_until=row.valid_until,
            given_by=row.given_by,
            given_at=row.given_at,
            revoked_by=row.revoked_by,
            revoked_at=row.revoked_at,
            revoked_because=row.revoked_because,
        )


@strawberry.enum(description="What a notice of a tier tells.")
class TierNoticeKind(Enum):
    """The kinds of hub.benefits.tiers.notices."""

    UPGRADED = strawberry.enum_value("upgraded", description="A higher tier is held.")
    AT_RISK = strawberry.enum_value("at_risk", description="Too little is done to keep it yet.")
    STEPPED_DOWN = strawberry.enum_value("stepped_down", description="A higher one was not kept.")


@strawberry.type(description="What a member was told of a tier.")
class TierNotice:
    """A notice that was given."""

    kind: TierNoticeKind = strawberry.field(description="What it tells.")
    ladder: str = strawberry.field(description="The ladder's short name.")
    tier: str = strawberry.field(description="The tier's short name.")
    valid_until: date | None = strawberry.field(
        description="The last day on which it is held; null: for good."
    )
    days_ahead: int = strawberry.field(
        description="How many days before the end it was due; 0: it tells what has happened."
    )
    given_at: datetime = strawberry.field(description="When the member was told.")

    @classmethod
    def of(cls, row: notices.TierNotice) -> "TierNotice":
        """Show a notice."""
        return shown(cls, row, kind=TierNoticeKind(row.kind))
