"""The member card: who, on which tier, with what balance, accounts, entries and benefits."""

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

import strawberry
from strawberry import relay

from graphql_schema import access
from graphql_schema.accounts import AT_OWN, Account, visible_accounts
from graphql_schema.attributes import Attribute, visible_attributes
from graphql_schema.audit import read_in_full
from graphql_schema.benefits import Entitlement, Tier
from graphql_schema.consents import Consent, visible_consents
from graphql_schema.context import Context, Info
from graphql_schema.corrections import Adjustment, Receivable
from graphql_schema.deprecated import replaced
from graphql_schema.entries import (
    ENTRIES,
    Entry,
    EntryFilter,
    EntryKind,
    EntryOrder,
    entries_asked,
    entry_page,
)
from graphql_schema.fields import key_of, resolved
from graphql_schema.having import BenefitHolder, own_business_id
from graphql_schema.history import AccountStatement, AsOf, account_statement, moment
from graphql_schema.join_code import JoinCode
from graphql_schema.lineage import Lineage
from graphql_schema.loaders import MOST_LOTS
from graphql_schema.pages import After, Before, Connection, First, Last, window
from graphql_schema.plan.declared import Made, Related, Unplanned, Viewed
from graphql_schema.points import SPENDABLE, Balance, ExpiryNotice, Hold, Lot
from graphql_schema.pools import Pool
from graphql_schema.referrals import Referrer
from graphql_schema.retentions import Retention
from graphql_schema.rewarded import RewardHolder
from graphql_schema.tier_history import TierHolder
from graphql_schema.tiers import LadderPlace
from hub.benefits.entitlements.reckon import ENTITLEMENTS
from hub.benefits.tiers.standings import HELD, STANDINGS
from hub.crypto.tokens import Role
from hub.errors import Malformed, NotFound
from hub.ledger.history import MOVEMENTS
from hub.ledger.queries import BALANCES, EXPIRING, HOLDS, LOTS
from hub.members.display import Shown
from hub.members.queries import ACCOUNTS
from hub.points.notice_queries import NOTICES
from hub.points.pool_queries import POOLS

LONGEST_OUTLOOK_DAYS = 3660
OUTLOOK_DAYS = 30

Masked = Annotated[
    bool | None,
    strawberry.argument(
        description="Hide the telling part. Unsaid: hidden from everybody but the member; staff "
        "may ask for it in full, which is logged."
    ),
]


_OF_OWN = "r.issuer_id = :own_business_id"


def _hidden(context: Context, masked: bool | None = None) -> dict[str, bool]:
    hidden = access.masks(context.caller, asked=masked)
    if not hidden and context.caller.role is not Role.MEMBER:
        raise Unplanned("to be on record before it is shown")
    return {"hidden": hidden}


def _outlook(_context: Context, within_days: int = OUTLOOK_DAYS) -> dict[str, int]:
    if not 0 <= within_days <= LONGEST_OUTLOOK_DAYS:
        raise Malformed(
            f"`withinDays` must be from 0 to {LONGEST_OUTLOOK_DAYS}", field="withinDays"
        )
    return {"days": within_days}


@strawberry.type(description="One person across all businesses of the group.")
class Member(Referrer, TierHolder, BenefitHolder, RewardHolder, relay.Node):
    """A member whom the caller may see; a merged-away id leads to whom the member is now."""

    node_key: ClassVar = ("member_id",)
    member_id: strawberry.Private[int]

    @classmethod
    def resolve_id(cls, root: "Member", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return key_of(cls.node_key, root)

    async def _shown(self, info: Info, attribute: str, asked: bool | None) -> str | None:
        caller = access.require(info.context.principal, *access.MEMBER_READERS)
        masked = access.masks(caller, asked=asked)
        view = await info.context.load.views.load(self.member_id)
        shown: Shown | None = getattr(view, attribute, None)
        if shown is None:
            return None
        if not masked:
            read_in_full(info.context, caller, member_id=self.member_id, attribute=attribute)
        return shown.masked if masked else shown.value

    @resolved("The number that the member is known by, as it is on cards.",
              plan=Made(("member_id",), str))  # fmt: skip
    def number(self) -> strawberry.ID:
        """Return the member's id."""
        return strawberry.ID(str(self.member_id))

    @resolved("A code for the member to show at a till, as a QR picture, to have an account there. "
              "For the member alone; it lives five minutes.")  # fmt: skip
    def join_code(self, info: Info) -> JoinCode:
        """Return a fresh code."""
        access.require(info.context.principal, Role.MEMBER)
        return JoinCode.of(info.context, self.member_id)

    @resolved("The member's name; null when no business knows one.", plan=Viewed("name", _hidden))
    async def display_name(self, info: Info, masked: Masked = None) -> str | None:
        """Return the name, masked as access demands."""
        return await self._shown(info, "name", masked)

    @resolved("The member's phone number; in E.164 when in full.", plan=Viewed("phone", _hidden))
    async def phone(self, info: Info, masked: Masked = None) -> str | None:
        """Return the phone number, masked as access demands."""
        return await self._shown(info, "phone", masked)

    @resolved("The member's email address.", plan=Viewed("email", _hidden))
    async def email(self, info: Info, masked: Masked = None) -> str | None:
        """Return the email address, masked as access demands."""
        return await self._shown(info, "email", masked)

    @resolved("What is shown of the member, attribute by attribute, with its source and why. A "
              "business is shown no birthday.")  # fmt: skip
    async def attributes(self, info: Info, masked: Masked = None) -> list[Attribute]:
        """Return the attributes that the caller may see."""
        return await visible_attributes(info, self.member_id, masked)

    @resolved("The births that are this member, and what joins them. For staff.")
    async def lineage(self, info: Info) -> Lineage:
        """Return where the member comes from."""
        access.require(info.context.principal, *access.CORRECTORS)
        found = await info.context.load.lineages.load(self.member_id)
        if found is None:
            raise NotFound(f"there is no member {self.member_id}", member=self.member_id)
        return Lineage.of(found)

    @resolved("Where the member stands on the ladder.",
              plan=Related(relation=STANDINGS, lean=HELD))  # fmt: skip
    async def tier(self, info: Info) -> Tier:
        """Return the tier and the way to the next."""
        return Tier.of(await info.context.load.standings.load(self.member_id))

    @resolved("Where the member stands on each ladder, the group's first; a business sees no other "
              "business's.")  # fmt: skip
    async def tiers(self, info: Info) -> list[LadderPlace]:
        """Return the places that the caller may see."""
        rows = await info.context.load.places.load(self.member_id)
        return [
            LadderPlace.of(row)
            for row in rows
            if row.business_id is None or await _may_see_of(info.context, row.business_id)
        ]

    @resolved("What the member has, or had at a moment by what the ledger had recorded.",
              plan=Related(relation=BALANCES, facts=SPENDABLE, unless=("asOf",)))  # fmt: skip
    async def balance(self, info: Info, as_of: AsOf = None) -> Balance:
        """Return the balance."""
        if as_of is not None:
            at = moment(info.context, as_of, field="asOf")
            return Balance.of(await info.context.load.past_balances.load((at, self.member_id)))
        return Balance.of(await info.context.load.balances.load(self.member_id))

    @resolved(
        "Points (of the unit `points`) whose last day comes within so many days, as things "
        "stand: idleness counts.",
        counts=True,
        plan=Related(
            relation=EXPIRING,
            facts={**SPENDABLE, "until": "CAST(:today AS date) + CAST(:days AS integer)"},
            live={"days": "integer"},
            ask=_outlook,
            value="points",
        ),
    )
    async def expiring_soon(
        self,
        info: Info,
        within_days: Annotated[
            int, strawberry.argument(description="From today on, up to 3660 days.")
        ] = OUTLOOK_DAYS,
    ) -> int:
        """Return how many points are about to expire."""
        _outlook(info.context, within_days)
        until = await info.context.load.today() + timedelta(days=within_days)
        return await info.context.load.expiring.load((until, self.member_id))

    @resolved("What the member was told about points that end, soonest first: the latest notice of "
              "each unit and day still ahead. A business is shown none.",
              plan=Related(relation=NOTICES, many=True, readers=access.reads_notices))  # fmt: skip
    async def expiry_notices(self, info: Info) -> list[ExpiryNotice]:
        """Return the notices that the caller may see."""
        caller = access.require(info.context.principal, *access.MEMBER_READERS)
        if not access.reads_notices(caller):
            return []
        rows = await info.context.load.notices.load(self.member_id)
        return [ExpiryNotice.of(row) for row in rows]

    @resolved("The member's accounts; a business sees its own.",
              plan=Related(relation=ACCOUNTS, many=True, seen=AT_OWN))  # fmt: skip
    async def accounts(self, info: Info) -> list[Account]:
        """Return the accounts that the caller may see."""
        return await visible_accounts(info, self.member_id)

    @resolved("What the member last said of each purpose to each legal entity; a business sees "
              "what was said to its own.")  # fmt: skip
    async def consents(self, info: Info) -> list[Consent]:
        """Return the consents that the caller may see."""
        return await visible_consents(info, self.member_id)

    @resolved("The movements of the member's points, newest first; a business sees its own.",
              plan=ENTRIES)  # fmt: skip
    async def entries(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            EntryFilter | None, strawberry.argument(description="Only these movements.")
        ] = None,
        order_by: Annotated[
            EntryOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the newest first."),
        ] = None,
        business: Annotated[
            str | None,
            strawberry.argument(
                description="Only what happened at this business.",
                deprecation_reason=replaced(since="2026-11-27", by="`filter.business`"),
            ),
        ] = None,
        kind: Annotated[
            EntryKind | None,
            strawberry.argument(
                description="Only movements of this kind.",
                deprecation_reason=replaced(since="2026-11-27", by="`filter.kinds`"),
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Entry]:
        """Return a page of entries."""
        asked = entries_asked(
            filter=filter,
            order_by=order_by,
            business=business,
            kind=kind,
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return await entry_page(info.context, self.member_id, asked)

    @resolved("The movements of the member's spendable points over a time, with the balance after "
              "each. For the member and staff.")  # fmt: skip
    async def statement(
        self,
        info: Info,
        since: Annotated[
            datetime, strawberry.argument(name="from", description="The first moment of the time.")
        ],
        until: Annotated[
            datetime | None,
            strawberry.argument(name="to", description="The moment that ends it; now if unsaid."),
        ] = None,
        *,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> AccountStatement:
        """Return a page of the statement of account."""
        shape = MOVEMENTS.shape
        asked = window(first=first, after=after, last=last, before=before, shape=shape)
        return await account_statement(
            info.context, self.member_id, since=since, until=until, asked=asked
        )

    @resolved("Points not used up, in the order they will be spent; at most 100. A business sees "
              "what it granted.",
              plan=Related(relation=LOTS, many=True, seen=_OF_OWN,
                           facts={"limit": str(MOST_LOTS)}))  # fmt: skip
    async def lots(self, info: Info) -> list[Lot]:
        """Return the open lots that the caller may see."""
        rows = await info.context.load.lots.load(self.member_id)
        return [Lot.of(row) for row in rows if await _may_see_of(info.context, row.issuer_id)]

    @resolved("Points set aside at tills; a business sees its own holds.",
              plan=Related(relation=HOLDS, many=True, seen=AT_OWN))  # fmt: skip
    async def holds(self, info: Info) -> list[Hold]:
        """Return the open holds that the caller may see."""
        rows = await info.context.load.open_holds.load(self.member_id)
        return [Hold.of(row) for row in rows if await _may_see_of(info.context, row.business_id)]

    @resolved("The pool that the member is in; null when in none.", plan=Related(relation=POOLS))
    async def pool(self, info: Info) -> Pool | None:
        """Return the pool, with its code for the member alone."""
        caller = access.require(info.context.principal, *access.MEMBER_READERS)
        row = await info.context.load.pools.load(self.member_id)
        return None if row is None else Pool.of(row, with_code=access.reads_pool_code(caller))

    @resolved("Corrections by staff, newest first; at most 100. For staff.")
    async def adjustments(self, info: Info) -> list[Adjustment]:
        """Return the adjustments of the member's points."""
        access.require(info.context.principal, *access.CORRECTORS)
        rows = await info.context.load.adjustments.load(self.member_id)
        return [Adjustment.of(row) for row in rows]

    @resolved("What forbids that the member is erased, and what did: what holds comes first, of "
              "that the newest; at most 100. For staff.")  # fmt: skip
    async def retentions(self, info: Info) -> list[Retention]:
        """Return the retentions of the member and of all merged into it."""
        access.require(info.context.principal, *access.CORRECTORS)
        rows = await info.context.load.retentions.load(self.member_id)
        return [Retention.of(row, now=info.context.now) for row in rows]

    @resolved("What the member owes businesses in money since refunds, oldest first; a business "
              "sees what it is owed.")  # fmt: skip
    async def receivables(self, info: Info) -> list[Receivable]:
        """Return the open receivables that the caller may see."""
        rows = await info.context.load.receivables.load(self.member_id)
        return [
            Receivable.of(row) for row in rows if await _may_see_of(info.context, row.issuer_id)
        ]

    @resolved("What the member may use this year; a business sees what it offers.",
              plan=Related(relation=ENTITLEMENTS, many=True,
                           shown_at="offered_at"))  # fmt: skip
    async def entitlements(self, info: Info) -> list[Entitlement]:
        """Return the quotas that the caller may see."""
        own = await own_business_id(info.context)
        rows = await info.context.load.entitlements.load(self.member_id)
        return [Entitlement.of(r) for r in rows if own is None or own in r.offered_at]


async def _may_see_of(context: Context, business_id: int) -> bool:
    own = access.only_business(access.require(context.principal, *access.MEMBER_READERS))
    return own is None or (await context.business(business_id)).code == own


async def visible_member(context: Context, member_id: int) -> Member | None:
    """Return a member if there is one and the caller may know; a merged-away id leads on.

    Raises Unauthenticated or Forbidden for callers who may see no member at all.
    """
    now_id = await context.load.visible.load(member_id)
    if now_id is None:
        context.hide_member(member_id)
    return None if now_id is None else Member(member_id=now_id)
