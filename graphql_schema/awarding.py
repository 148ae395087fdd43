"""Giving tiers: by hand, by match with a partner's status, and taking them back. For staff."""

from datetime import date
from typing import Annotated

import strawberry

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.desk import KEY, open_desk
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import MemberKey, whole_number
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    Forbidden,
    InvalidInput,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
    unfit,
)
from graphql_schema.scalars import Long
from graphql_schema.tiers import TierAward
from hub import errors
from hub.benefits.tiers import awards
from hub.benefits.tiers.award_tier import award_tier
from hub.benefits.tiers.configure import Asks
from hub.benefits.tiers.revoke_award import revoke_award

MOST_ASKED = 10**15


@strawberry.input(description="What must be done in a trial, all of it, for the tier to last.")
class TierChallengeInput:
    """A challenge."""

    points: int | None = strawberry.field(
        graphql_type=Long | None, default=None, description="Qualifying points."
    )
    spend_minor: int | None = strawberry.field(
        graphql_type=Long | None,
        default=None,
        description="Spend, in minor units of the ladder's currency.",
    )
    visits: int | None = strawberry.field(default=None, description="Days with a purchase.")
    nights: int | None = strawberry.field(default=None, description="Nights of completed stays.")


@strawberry.input(description="A tier for a member, for some time.")
class GrantTierInput:
    """A tier by hand."""

    member: MemberKey = strawberry.field(description="Who shall have it.")
    tier: str = strawberry.field(description="The tier's short name.")
    valid_until: date = strawberry.field(description="The last day on which it gives the tier.")
    reason: str = strawberry.field(description="Why; it is kept.")
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input(description="A tier that matches a partner's status.")
class MatchTierInput:
    """A match."""

    member: MemberKey = strawberry.field(description="Who shall have it.")
    tier: str = strawberry.field(description="The tier's short name.")
    partner: str = strawberry.field(description="Whose status it matches.")
    evidence: str = strawberry.field(
        description="What was seen of that status, and when; no number of a card."
    )
    valid_until: date = strawberry.field(description="The last day on which it gives the tier.")
    reason: str = strawberry.field(description="Why; it is kept.")
    idempotency_key: str = strawberry.field(description=KEY)
    trial_until: date | None = strawberry.field(
        default=None, description="The last day of a trial; with a challenge, or not at all."
    )
    challenge: TierChallengeInput | None = strawberry.field(
        default=None, description="What must be done in the trial for the tier to last."
    )


@strawberry.input(description="An award to end at once.")
class RevokeTierInput:
    """A revocation."""

    award: strawberry.ID = strawberry.field(description="The award's number.")
    reason: str = strawberry.field(description="Why; it is kept.")


@strawberry.type(description="The award stands as it says.")
class TierAwarded:
    """What became of an award."""

    award: TierAward = strawberry.field(description="The award, as it stands now.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="There is no such award.")
class TierAwardUnknown(Rejection):
    """Nothing was stored."""


AwardTierResult = Annotated[
    TierAwarded | MemberUnknown | Refused,
    strawberry.union("AwardTierResult", description="What came of giving a tier."),
]
RevokeTierResult = Annotated[
    TierAwarded | TierAwardUnknown | InvalidInput | Forbidden,
    strawberry.union("RevokeTierResult", description="What came of revoking a tier."),
]


@strawberry.type
class AwardingMutation:
    """Tiers by hand."""

    @resolved("Give a member a tier until a day, whatever is reached; a higher one that is held "
              "stays. For staff.")  # fmt: skip
    async def grant_tier(
        self,
        info: Info,
        input: Given[GrantTierInput],  # noqa: A002
    ) -> AwardTierResult:
        """Grant and commit, or answer why not."""
        return await _award(info, input, partner=None, evidence=None)

    @resolved("Give a member the tier that matches a partner's status; in a trial it lasts only if "
              "its challenge is met. For staff.")  # fmt: skip
    async def match_tier(
        self,
        info: Info,
        input: Given[MatchTierInput],  # noqa: A002
    ) -> AwardTierResult:
        """Match and commit, or answer why not."""
        return await _award(
            info,
            input,
            partner=input.partner,
            evidence=input.evidence,
            trial_until=input.trial_until,
            challenge=input.challenge,
        )

    @resolved("End an award at once; what was reached otherwise is held. For staff; to revoke "
              "twice is to revoke once.")  # fmt: skip
    async def revoke_tier(
        self,
        info: Info,
        input: Given[RevokeTierInput],  # noqa: A002
    ) -> RevokeTierResult:
        """Revoke and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            award_id = whole_number(input.award, field="award")
            zone = (await context.load.programme()).time_zone
            async with context.writing() as db:
                award = await revoke_award(
                    db,
                    award_id=award_id,
                    reason=input.reason,
                    revoked_by=caller.subject,
                    now=context.now,
                    time_zone=zone,
                )
        except errors.NotFound as unknown:
            return TierAwardUnknown(message=unknown.message)
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        return await _awarded(info, award)


async def _award(
    info: Info,
    given: GrantTierInput | MatchTierInput,
    *,
    partner: str | None,
    evidence: str | None,
    trial_until: date | None = None,
    challenge: TierChallengeInput | None = None,
) -> AwardTierResult:
    context = info.context
    try:
        desk = await open_desk(
            context, roles=CORRECTORS, member=given.member, idempotency_key=given.idempotency_key
        )
        zone = (await context.load.programme()).time_zone
        async with context.writing() as db:
            award = await award_tier(
                db,
                member_id=desk.member.member_id,
                tier=given.tier,
                valid_until=given.valid_until,
                reason=given.reason,
                given_by=desk.caller.subject,
                idempotency_key=desk.idempotency_key,
                partner=partner,
                evidence=evidence,
                trial_until=trial_until,
                challenge=_asks(challenge),
                now=context.now,
                time_zone=zone,
            )
    except errors.NotFound as unknown:
        if unknown.facts.get("field") == "tier":
            return InvalidInput(message=unknown.message, field="tier")
        return member_unknown()
    except REFUSALS as no:
        return refused(no)
    return await _awarded(info, award)


async def _awarded(info: Info, award: awards.TierAward) -> TierAwarded:
    member_id = await info.context.load.members.load(award.member_id)
    return TierAwarded(
        award=TierAward.of(award), member=Member(member_id=member_id or award.member_id)
    )


def _asks(challenge: TierChallengeInput | None) -> Asks | None:
    if challenge is None:
        return None
    facts = {
        "points": challenge.points,
        "spend_minor": challenge.spend_minor,
        "visits": challenge.visits,
        "nights": challenge.nights,
    }
    for name, asked in facts.items():
        if asked is not None and not 0 < asked <= MOST_ASKED:
            raise errors.Malformed(
                f"{name} is a whole number from 1 to {MOST_ASKED}", field="challenge"
            )
    return Asks(**facts)
