"""Vouchers and campaigns, as those see them who may."""

from datetime import datetime
from typing import Annotated

import strawberry

from graphql_schema.access import (
    CAMPAIGN_READERS,
    VOUCHER_READERS,
    only_business,
    reads_voucher_code,
    reads_voucher_history,
    require,
)
from graphql_schema.context import Context, Info
from graphql_schema.fields import count, resolved
from graphql_schema.filters import by_businesses, ordered_page, refuse_unknown, said
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.programme import Business
from graphql_schema.scalars import Long
from graphql_schema.voucher_filters import (
    CAMPAIGN_ORDERS,
    VoucherCampaignFilter,
    VoucherCampaignOrder,
    VoucherKind,
)
from hub.benefits.vouchers import queries
from hub.benefits.vouchers.codes import printed
from hub.benefits.vouchers.queries import VoucherState, voucher_terms
from hub.benefits.vouchers.terms import VoucherTerms

strawberry.enum(
    VoucherState,
    description="Where a voucher stands: issued (nobody has it), assigned, reserved at a till, "
    "used up, expired or voided.",
)

_TERMS = "In minor units of `currency`."


@strawberry.type(description="What the vouchers of a campaign give, where and when.")
class VoucherCampaign:
    """A campaign's terms."""

    row: strawberry.Private[VoucherTerms]
    code: str = strawberry.field(description="The campaign's short name.")
    kind: VoucherKind = strawberry.field(description="What its vouchers take off.")
    name: str = strawberry.field(description="Its name.")
    name_zh: str = strawberry.field(description="Its name in Chinese.")
    currency: str = strawberry.field(description="ISO 4217 currency of its amounts.")
    uses: int | None = strawberry.field(
        graphql_type=Long | None,
        description="How often a voucher may be used; null where its rest is kept.",
    )
    keeps_rest: bool = strawberry.field(
        description="Whether a cash voucher is used until its value is."
    )
    amount_minor: int | None = strawberry.field(
        graphql_type=Long | None,
        description=f"What a cash or threshold voucher takes off. {_TERMS}",
    )
    percent: str | None = strawberry.field(description="Per cent of the bill, as a decimal.")
    cap_minor: int | None = strawberry.field(
        graphql_type=Long | None, description=f"The most that it takes off. {_TERMS}"
    )
    threshold_minor: int | None = strawberry.field(
        graphql_type=Long | None, description=f"What must be spent for `amountMinor`. {_TERMS}"
    )
    repeats: bool = strawberry.field(description="Whether each full threshold counts.")
    item: str | None = strawberry.field(description="What a gift is.")
    points: int | None = strawberry.field(
        graphql_type=Long | None, description="How many points a points voucher gives."
    )
    benefit: str | None = strawberry.field(
        description="The short name of the benefit that a voucher gives."
    )
    benefit_uses: int | None = strawberry.field(description="How many uses of it.")
    minimum_minor: int = count(f"What the bill must come to. {_TERMS}")
    valid_from: datetime = strawberry.field(description="The first instant of its validity.")
    valid_until: datetime = strawberry.field(
        description="The first instant at which no voucher of it is valid any more."
    )
    valid_days: int | None = strawberry.field(
        description="A voucher ends so many days after it was assigned; null: with `validUntil`."
    )
    per_member: int | None = strawberry.field(
        graphql_type=Long | None,
        description="How many of them a member may be given; null: any number.",
    )
    outlets: list[str] = strawberry.field(description="The outlets that take it; none: all.")
    categories: list[str] = strawberry.field(
        description="The categories that it is for; none: all."
    )
    stacking_group: str | None = strawberry.field(
        description="Of the vouchers of a group one may be used for a bill; null: any number."
    )
    alone: bool = strawberry.field(description="Whether no other voucher may be used beside it.")
    transferable: bool = strawberry.field(description="Whether a member may give it away.")

    @classmethod
    def of(cls, row: VoucherTerms) -> "VoucherCampaign":
        """Show terms."""
        return cls(
            row=row,
            code=row.campaign_code,
            kind=VoucherKind(row.kind.value),
            name=row.name,
            name_zh=row.name_zh,
            currency=row.currency,
            uses=None if row.by_value else row.granted,
            keeps_rest=row.by_value,
            amount_minor=row.amount_minor,
            percent=None if row.percent is None else f"{row.percent.normalize():f}",
            cap_minor=row.cap_minor,
            threshold_minor=row.threshold_minor,
            repeats=row.repeats,
            item=row.item,
            points=row.points,
            benefit=row.benefit,
            benefit_uses=row.benefit_uses,
            minimum_minor=row.minimum_minor,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            valid_days=row.valid_days,
            per_member=row.per_member,
            outlets=list(row.outlets),
            categories=list(row.categories),
            stacking_group=row.stacking_group,
            alone=row.alone,
            transferable=row.transferable,
        )

    @resolved("The businesses that take its vouchers.")
    async def businesses(self, info: Info) -> list[Business]:
        """Return where it may be used."""
        return [Business.of(await info.context.business(id_)) for id_ in self.row.businesses]

    @resolved("The business that pays for its vouchers; for staff, finance and businesses.")
    async def funder(self, info: Info) -> Business | None:
        """Return who pays; null for members."""
        if require(info.context.principal, *VOUCHER_READERS).role not in CAMPAIGN_READERS:
            return None
        return Business.of(await info.context.business(self.row.funder_id))


@strawberry.type(description="Something that happened to a voucher.")
class VoucherEvent:
    """An entry of a voucher."""

    business_id: strawberry.Private[int | None]
    number: strawberry.ID = strawberry.field(
        description="The entry's number; of a redemption, for `cancelVoucherRedemption`."
    )
    kind: str = strawberry.field(
        description="assigned, claimed, transferred, reserved, released, lapsed, redeemed, "
        "cancelled, granted (a benefit), expired, reinstated or voided."
    )
    occurred_at: datetime = strawberry.field(description="When.")
    held: int = count("By how much what is reserved changed, as `Voucher.left` is counted.")
    used: int = count("By how much what is used changed, as `Voucher.left` is counted.")
    amount_minor: int = count(
        "What it took off a bill, in minor units; negative where it was cancelled."
    )
    reason: str | None = strawberry.field(description="Why, where somebody said so.")

    @classmethod
    def of(cls, row: queries.VoucherEntry) -> "VoucherEvent":
        """Show an entry."""
        return cls(
            business_id=row.business_id,
            number=strawberry.ID(str(row.entry_id)),
            kind=row.kind,
            occurred_at=row.occurred_at,
            held=row.held,
            used=row.used,
            amount_minor=row.amount_minor,
            reason=row.reason,
        )

    @resolved("Where; null for what happens nowhere.")
    async def business(self, info: Info) -> Business | None:
        """Return the business whose till it was."""
        if self.business_id is None:
            return None
        return Business.of(await info.context.business(self.business_id))


@strawberry.type(description="A voucher, and what is left of it.")
class Voucher:
    """A voucher as it stands."""

    row: strawberry.Private[queries.Voucher]
    number: strawberry.ID = strawberry.field(
        description="Its number, by which a till uses it that serves its member."
    )
    state: VoucherState = strawberry.field(description="Where it stands.")
    granted: int = count("What it had at first: uses, or minor units where the rest is kept.")
    held: int = count("What of that is reserved at tills.")
    used: int = count("What of that is used.")
    left: int = count("What of that may still be used.")
    assigned_at: datetime | None = strawberry.field(
        description="When it was given to whoever had it first; null: nobody has it."
    )
    ends_at: datetime = strawberry.field(
        description="The first instant at which it is no longer valid."
    )

    @classmethod
    def of(cls, row: queries.Voucher) -> "Voucher":
        """Show a voucher."""
        return cls(
            row=row,
            number=strawberry.ID(str(row.voucher_id)),
            state=row.state,
            granted=row.granted,
            held=row.held,
            used=row.used,
            left=row.left,
            assigned_at=row.assigned_at,
            ends_at=row.ends_at,
        )

    @resolved("What it gives, where and when: as it was when the voucher was issued.")
    def campaign(self) -> VoucherCampaign:
        """Return its terms."""
        return VoucherCampaign.of(self.row.terms)

    @resolved("Its code, to be shown or scanned. For the member who has it alone: who has the code "
              "has the voucher.")  # fmt: skip
    async def code(self, info: Info) -> str | None:
        """Return the code; null for everybody but its member."""
        caller = require(info.context.principal, *VOUCHER_READERS)
        own_id = await info.context.own_member_id()
        if not reads_voucher_code(caller) or own_id is None or own_id != self.row.member_id:
            return None
        key = await info.context.load.vouchers.key()
        return None if key is None else printed(key.code(self.row.voucher_id))

    @resolved("What happened to it, in order; a business sees what happened at its own tills.")
    async def history(self, info: Info) -> list[VoucherEvent]:
        """Return its entries, as far as the caller may see them."""
        caller = require(info.context.principal, *VOUCHER_READERS)
        if not reads_voucher_history(caller, of_own=await _is_own(info.context, self.row)):
            return []
        own_id = await info.context.own_business_id()
        entries = await info.context.load.vouchers.entries.load(self.row.voucher_id)
        return [
            VoucherEvent.of(entry)
            for entry in entries or []
            if own_id is None or entry.business_id == own_id
        ]


async def _is_own(context: Context, row: queries.Voucher) -> bool:
    own_id = await context.own_member_id()
    return own_id is not None and own_id == row.member_id


@strawberry.type(description="What a member was told: that a voucher ends soon.")
class VoucherNotice:
    """A notice that was given."""

    voucher: strawberry.ID = strawberry.field(description="The voucher's number.")
    name: str = strawberry.field(description="Its campaign's name.")
    name_zh: str = strawberry.field(description="Its campaign's name in Chinese.")
    ends_at: datetime = strawberry.field(
        description="The first instant at which it is no longer valid."
    )
    days_ahead: int = count("How many days before it was due: 7 or 1.")
    given_at: datetime = strawberry.field(description="When it was given.")

    @classmethod
    def of(cls, row: queries.VoucherNotice) -> "VoucherNotice":
        """Show a notice."""
        return cls(
            voucher=strawberry.ID(str(row.voucher_id)),
            name=row.name,
            name_zh=row.name_zh,
            ends_at=row.ends_at,
            days_ahead=row.days_ahead,
            given_at=row.given_at,
        )


@strawberry.type
class VoucherQuery:
    """Reads of vouchers."""

    @resolved("The voucher that a code stands for; null when none does, or none that the business "
              "takes. For businesses and staff.")  # fmt: skip
    async def voucher_by_code(
        self,
        info: Info,
        code: Annotated[str, strawberry.argument(description="The code as it was typed.")],
    ) -> Voucher | None:
        """Return a voucher by its code."""
        context = info.context
        caller = require(context.principal, *CAMPAIGN_READERS)
        async with context.reading() as db:
            found = await voucher_terms(db, codes=[code], keyring=context.keyring, now=context.now)
        voucher = found.get(code)
        if voucher is None:
            return None
        own = only_business(caller)
        if own is not None:
            own_id = (await context.business_by_code(own)).business_id
            if own_id not in voucher.terms.businesses:
                return None
        return Voucher.of(voucher)

    @resolved("Campaigns by the terms that new vouchers are issued under; a business sees those "
              "that it takes or pays for.")  # fmt: skip
    async def voucher_campaigns(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            VoucherCampaignFilter | None, strawberry.argument(description="Only these campaigns.")
        ] = None,
        order_by: Annotated[
            VoucherCampaignOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: by code."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[VoucherCampaign]:
        """Return a page of campaigns; raises NotFound for an unknown business or benefit."""
        context = info.context
        require(context.principal, *CAMPAIGN_READERS)
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, CAMPAIGN_ORDERS, queries.CAMPAIGNS, **paging)
        only = await by_businesses(context, said(filter), "business", "funder")
        if "kinds" in only:
            only["kinds"] = [kind.value for kind in only["kinds"]]
        only["own_id"] = await context.own_business_id()
        async with context.reading() as db:
            rows = await queries.campaign_page(
                db, only=only, order=order, stretch=asked.stretch, now=context.now
            )
        if not rows:
            await refuse_unknown(context, only, "benefit")
        return connection(rows, asked, node=VoucherCampaign.of, place=order.place)
