"""Whom a member has referred: a part of the member card, and saying who referred oneself."""

from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema import access
from graphql_schema.context import Context, Info
from graphql_schema.fields import resolved
from graphql_schema.filters import filtered_page, said
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.rejections import Rejection
from graphql_schema.scalars import Long
from hub.benefits.referrals import queries
from hub.benefits.referrals.codes import ReferralKey
from hub.benefits.referrals.refer import ReferralRefused as Refused
from hub.benefits.referrals.refer import Refusal, Source, account_of_code, refer
from hub.benefits.tiers.promote import promote
from hub.benefits.vouchers.codes import printed
from hub.crypto.tokens import Role
from hub.programme.queries import programme

if TYPE_CHECKING:
    from graphql_schema.member import Member


@strawberry.enum(description="What became of a referral.")
class ReferralState(Enum):
    """Where a referral stands."""

    WAITING = strawberry.enum_value("waiting", description="The friend has not bought yet.")
    COUNTED = strawberry.enum_value("counted", description="The friend bought: it counts.")
    TAKEN_BACK = strawberry.enum_value(
        "taken_back", description="What the friend bought was given back."
    )
    LAPSED = strawberry.enum_value("lapsed", description="The friend did not buy in time.")
    SAME_PERSON = strawberry.enum_value(
        "same_person", description="The friend turned out to be the member."
    )
    KNOWN_BEFORE = strawberry.enum_value(
        "known_before", description="The friend turned out to have been a member before."
    )
    REFERRED_BEFORE = strawberry.enum_value(
        "referred_before", description="The friend turned out to have been referred before."
    )
    OVER_LIMIT = strawberry.enum_value(
        "over_limit", description="As many as may count in the period did already."
    )


@strawberry.input(description="Which referrals; all that is said holds.")
class ReferralFilter:
    """By what became of them, and when."""

    states: list[ReferralState] | None = strawberry.field(
        default=None, description="Those that stand so."
    )
    said_from: datetime | None = strawberry.field(
        default=None, description="Said then or later, with an offset from UTC."
    )
    said_before: datetime | None = strawberry.field(
        default=None, description="Said before then, with an offset from UTC."
    )
    given: bool | None = strawberry.field(
        default=None, description="For which the member has something, or has nothing."
    )


@strawberry.type(description="Somebody whom a member has referred.")
class Referral:
    """A referral, as the one who referred sees it."""

    name: str | None = strawberry.field(
        description="The friend's name, masked for everybody; null when nobody knows it."
    )
    said_at: datetime = strawberry.field(description="When the friend said who referred them.")
    buy_by: datetime = strawberry.field(description="Before when the friend has to buy.")
    state: ReferralState = strawberry.field(description="What became of it.")
    counted_on: date | None = strawberry.field(
        description="The day on which it counts for tiers; null while it does not."
    )
    points: int | None = strawberry.field(
        graphql_type=Long | None,
        description="The points that the member was given for it; null: none.",
    )
    voucher: strawberry.ID | None = strawberry.field(
        description="The number of the voucher that the member was given for it; null: none."
    )
    benefit: str | None = strawberry.field(
        description="The short name of the benefit that the member was given; null: none."
    )
    given_at: datetime | None = strawberry.field(
        description="When it was given; null before, and when it was taken back."
    )

    @classmethod
    def of(cls, row: queries.Referral) -> "Referral":
        """Show a referral."""
        return cls(
            name=row.name,
            said_at=row.said_at,
            buy_by=row.ends_at,
            state=ReferralState(row.state),
            counted_on=row.counted_on,
            points=row.points,
            voucher=None if row.voucher_id is None else strawberry.ID(str(row.voucher_id)),
            benefit=row.benefit,
            given_at=row.given_at,
        )


@strawberry.enum(description="Why a referral is not taken.")
class ReferralRefusal(Enum):
    """The reasons."""

    NOT_OFFERED = strawberry.enum_value(
        Refusal.NOT_OFFERED.value, description="The group takes no referrals now."
    )
    UNKNOWN = strawberry.enum_value(Refusal.UNKNOWN.value, description="The code is nobody's.")
    ONESELF = strawberry.enum_value(
        Refusal.ONESELF.value, description="The code is the member's own."
    )
    NOT_NEW = strawberry.enum_value(
        Refusal.NOT_NEW.value,
        description="The member joined too long ago, or has bought something before.",
    )
    REFERRED_BEFORE = strawberry.enum_value(
        Refusal.REFERRED_BEFORE.value, description="The member has named somebody else before."
    )
    IN_A_CIRCLE = strawberry.enum_value(
        Refusal.IN_A_CIRCLE.value,
        description="The one who is named was brought by this member, directly or not.",
    )


@strawberry.type(description="The referral is not taken. Without it the request may be made again.")
class ReferralRefused(Rejection):
    """Nothing was stored."""

    reason: ReferralRefusal = strawberry.field(description="Why.")

    @classmethod
    def of(cls, error: Refused) -> "ReferralRefused":
        """Show what the verb raised."""
        return cls(message=error.message, reason=ReferralRefusal(error.reason.value))


@strawberry.type(description="It is kept who referred the member; again is as well.")
class ReferrerNamed:
    """Success."""

    member: Annotated["Member", strawberry.lazy("graphql_schema.member")] = strawberry.field(
        description="The member who was referred, as things stand now."
    )


@strawberry.type
class Referrer:
    """The fields of a member that tell of those whom it referred."""

    member_id: strawberry.Private[int]

    @resolved("A code for the member to pass on: who is new says it at joining. Null for "
              "everybody but the member, and while the group takes no referrals.")  # fmt: skip
    async def referral_code(self, info: Info) -> str | None:
        """Return the code as it is printed."""
        caller = access.require(info.context.principal, *access.MEMBER_READERS)
        if caller.role is not Role.MEMBER:
            return None
        async with info.context.reading() as db:
            offered = await queries.takes_referrals(db, now=info.context.now)
        key = await info.context.load.vouchers.key()
        return printed(ReferralKey(key).code(self.member_id)) if offered and key else None

    @resolved("Those whom the member has referred, newest first. For the member and staff.")
    async def referrals(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            ReferralFilter | None, strawberry.argument(description="Only these referrals.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Referral]:
        """Return a page of referrals."""
        context, told = info.context, said(filter)
        access.require(context.principal, *access.REFERRAL_READERS)
        order = queries.REFERRALS
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked = filtered_page(filter, order, **paging)
        if "states" in told:
            told["states"] = tuple(dict.fromkeys(state.value for state in told["states"]))
        only = queries.ReferralFilter(**told)
        rows = await context.load.pages.referrals.load((only, asked.stretch, self.member_id))
        return connection(rows, asked, node=Referral.of, place=order.place)


async def keep_referral(
    db: AsyncConnection, context: Context, *, account_id: int, typed: str, source: Source
) -> None:
    """Keep who referred the member of an account, by the code that was typed, and what follows.

    Raises Malformed, naming `referralCode`, and the verb's ReferralRefused.
    """
    changed = await refer(
        db,
        account_id=account_id,
        referrer=await account_of_code(db, typed=typed, keyring=context.keyring),
        source=source,
        said_at=context.now,
        now=context.now,
    )
    if changed:
        zone = (await programme(db)).time_zone
        await promote(db, member_ids=sorted(changed), now=context.now, time_zone=zone)
