"""Entries: every movement of a member's points, and why an earn came to what it did."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum

import strawberry
from strawberry import relay

from graphql_schema.access import only_business, require
from graphql_schema.accounts import Account, visible_accounts
from graphql_schema.context import Context, Info
from graphql_schema.fields import count, resolved
from graphql_schema.loaders import EntryPage
from graphql_schema.money import Money
from graphql_schema.pages import Connection, connection, window
from graphql_schema.programme import Business
from hub.crypto.tokens import Role
from hub.ledger import queries as ledger
from hub.ledger.codes import Kind, Unit
from hub.points.queries import Basis
from hub.programme.rule import EarningRule


@strawberry.enum(description="Why points moved.")
class EntryKind(Enum):
    """The kinds of the ledger that have entries."""

    EARN = strawberry.enum_value(Kind.EARN.value, description="Granted for a sale or a stay.")
    REDEEM = strawberry.enum_value(
        Kind.REDEEM.value, description="Spent, at once or by capturing a hold."
    )
    CLAWBACK = strawberry.enum_value(
        Kind.CLAWBACK.value, description="Taken back because what had earned them was refunded."
    )
    EXPIRE = strawberry.enum_value(Kind.EXPIRE.value, description="Past their last day.")
    RESTORE = strawberry.enum_value(
        Kind.RESTORE.value, description="Given back because what they had paid was refunded."
    )


@strawberry.enum(description="What is counted.")
class PointUnit(Enum):
    """The units of the ledger."""

    SPENDABLE = strawberry.enum_value(Unit.SPENDABLE.value, description="Points to spend.")
    QUALIFYING = strawberry.enum_value(
        Unit.QUALIFYING.value, description="Points that move a member up the tiers."
    )


@strawberry.type(description="A line of the bill that earned.")
class ExplainedLine:
    """One line's part; the lines' parts sum to the whole."""

    line: str = strawberry.field(description="The line's id in the business's own system.")
    net: Money = strawberry.field(description="What it sold for, after discounts, without tax.")
    base: Money = strawberry.field(
        description="What of that earned: less what was paid with points, vouchers and the like."
    )
    points: int = count("Its share of the points.")
    qualifying: int = count("Its share of the qualifying points.")


@strawberry.type(description="Why a bill earned the points it did.")
class EarnExplanation:
    """A bill and the version of the rule it earned by: base × rate, rounded down once per bill."""

    rule_version: int | None = strawberry.field(
        description="Number of the rule's version; null when only qualifying points were earned."
    )
    effective_from: datetime | None = strawberry.field(
        description="When that version came into force."
    )
    points_per_unit: Decimal | None = strawberry.field(
        description="Points per major unit of the bill's currency."
    )
    total: Money = strawberry.field(description="What was paid, tax and tip included.")
    base: Money = strawberry.field(description="What of that earned; the lines' bases sum to it.")
    lines: list[ExplainedLine] = strawberry.field(description="The lines that earned.")

    @classmethod
    def of(cls, basis: Basis, rule: EarningRule | None) -> "EarnExplanation":
        """Show what an earn was computed from."""

        def money(minor: int) -> Money:
            return Money(amount_minor=minor, currency=basis.currency)

        return cls(
            rule_version=basis.rule_id,
            effective_from=rule.effective_from if rule else None,
            points_per_unit=rule.points_per_unit if rule else None,
            total=money(basis.total_minor),
            base=money(sum(line.base for line in basis.lines)),
            lines=[
                ExplainedLine(
                    line=line.id,
                    net=money(line.net),
                    base=money(line.base),
                    points=line.points,
                    qualifying=line.qualifying,
                )
                for line in basis.lines
            ],
        )


@strawberry.type(description="One movement of a member's points; it is never changed or deleted.")
class Entry(relay.Node):
    """An entry, seen from the member."""

    row: strawberry.Private[ledger.Entry]
    kind: EntryKind = strawberry.field(description="Why the points moved.")
    unit: PointUnit = strawberry.field(description="What is counted.")
    points: int = count("Points that came (positive) or went (negative).")
    business_date: date = strawberry.field(description="The business's trading day.")
    occurred_at: datetime = strawberry.field(description="When it happened in the shop.")
    posted_at: datetime = strawberry.field(description="When the ledger recorded it.")

    @classmethod
    def resolve_id(cls, root: "Entry", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return f"{root.row.member_id}.{root.row.tx_id}.{root.row.seq}"

    @classmethod
    def of(cls, row: ledger.Entry) -> "Entry":
        """Show an entry."""
        return cls(
            row=row,
            kind=EntryKind[row.kind.name],
            unit=PointUnit[row.unit.name],
            points=row.points,
            business_date=row.business_date,
            occurred_at=row.occurred_at,
            posted_at=row.posted_at,
        )

    @resolved("Number of the transaction; entries of one transaction were posted together.")
    def transaction(self) -> strawberry.ID:
        """Return the transaction's number, as it is on receipts."""
        return strawberry.ID(str(self.row.tx_id))

    @resolved("The business where it happened; for an expiry, the issuer.")
    async def business(self, info: Info) -> Business:
        """Return the acting business."""
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("The business that granted the points and owes them.")
    async def issuer(self, info: Info) -> Business:
        """Return the points' issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @resolved("The member's account that acted; null where the caller may not see it.")
    async def account(self, info: Info) -> Account | None:
        """Return the acting account."""
        key = f"{self.row.member_id}.{self.row.account_id}"
        accounts = await visible_accounts(info, self.row.member_id)
        return next((account for account in accounts if account.key == key), None)

    @resolved("Why an earn came to these points; null for other kinds.")
    async def explain(self, info: Info) -> EarnExplanation | None:
        """Return what the earn was computed from."""
        load = info.context.load
        if self.row.kind is not Kind.EARN:
            return None
        basis = await load.bases.load((self.row.member_id, self.row.tx_id))
        if basis is None:
            return None
        rule = None if basis.rule_id is None else await load.rule(basis.rule_id)
        return EarnExplanation.of(basis, rule)


async def entry_page(
    context: Context,
    member_id: int,
    *,
    business: str | None,
    kind: EntryKind | None,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
) -> Connection[Entry]:
    """Return a page of a member's entries, newest first; a business gets its own.

    Raises Malformed for wrong page arguments, NotFound for an unknown business.
    """
    caller = require(context.principal, Role.MEMBER, Role.BUSINESS, Role.STAFF)
    asked = window(first=first, after=after, last=last, before=before, shape=(int, int))
    own = only_business(caller)
    if own is not None and business not in (None, own):
        return connection([], asked, node=Entry.of, place=_place)
    code = own or business
    only = ledger.EntryFilter(
        business_id=None if code is None else (await context.business_by_code(code)).business_id,
        kind=None if kind is None else Kind[kind.name],
    )
    ends = (asked.after, asked.before) if not asked.backward else (asked.before, asked.after)
    page = EntryPage(
        limit=asked.limit, only=only, oldest_first=asked.backward, beyond=ends[0], short_of=ends[1]
    )
    rows = await context.load.entry_pages.load((page, member_id))
    return connection(rows, asked, node=Entry.of, place=_place)


def _place(row: ledger.Entry) -> tuple[int, int]:
    return row.tx_id, row.seq
