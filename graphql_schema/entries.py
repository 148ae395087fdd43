"""Entries: every movement of a member's points."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from typing import Any, ClassVar

import strawberry
from strawberry import relay

from graphql_schema.access import only_business, require
from graphql_schema.accounts import AT_OWN, Account, visible_accounts
from graphql_schema.context import Context, Info
from graphql_schema.explaining import EarnExplanation
from graphql_schema.fields import count, key_of, resolved, said, shown
from graphql_schema.filters import (
    DIRECTION,
    Direction,
    mark,
    once,
    order_given,
    order_of,
    stretch_given,
)
from graphql_schema.pages import Connection, Window, connection, window
from graphql_schema.plan.declared import BusinessOf, Column, Looked, Made, Paged, PageRead, Related
from graphql_schema.programme import Business
from hub.crypto.tokens import Principal, Role
from hub.db.keyset import Keyset
from hub.ledger import queries as ledger
from hub.ledger.codes import Kind, Unit
from hub.members.queries import ACCOUNTS


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
    REINSTATE = strawberry.enum_value(
        Kind.REINSTATE.value, description="Given back after they had expired."
    )
    ADJUST = strawberry.enum_value(Kind.ADJUST.value, description="Corrected by staff.")
    TRANSFER = strawberry.enum_value(
        Kind.TRANSFER.value, description="Moved between members or pools, or to repay what is owed."
    )
    OPENING = strawberry.enum_value(
        Kind.OPENING.value, description="What the member had before the hub."
    )
    MERGE = strawberry.enum_value(
        Kind.MERGE.value, description="Went along when members were merged, or split."
    )
    SPLIT = strawberry.enum_value(
        Kind.SPLIT.value,
        description="Put right by a split: what accounts had spent of each other's.",
    )


@strawberry.enum(description="What is counted.")
class PointUnit(Enum):
    """The units of the ledger."""

    SPENDABLE = strawberry.enum_value(
        Unit.SPENDABLE.value, description="Points to spend, of whichever unit."
    )
    QUALIFYING = strawberry.enum_value(
        Unit.QUALIFYING.value, description="Points that move a member up the tiers."
    )


def _lot(member_id: int, lot_id: int) -> relay.GlobalID:
    return relay.GlobalID("Lot", f"{member_id}.{lot_id}")


def _unit(unit: int) -> PointUnit:
    return PointUnit.QUALIFYING if unit == Unit.QUALIFYING else PointUnit.SPENDABLE


@strawberry.type(description="One movement of a member's points; it is never changed or deleted.")
class Entry(relay.Node):
    """An entry, seen from the member."""

    node_key: ClassVar = ("member_id", "tx_id", "seq")
    row: strawberry.Private[ledger.Entry]
    kind: EntryKind = said("Why the points moved.", plan=Column("kind", show=EntryKind))
    unit: PointUnit = said("What is counted.", plan=Column("unit", show=_unit))
    points: int = count("Points that came (positive) or went (negative).")
    business_date: date = strawberry.field(description="The business's trading day.")
    occurred_at: datetime = strawberry.field(description="When it happened in the shop.")
    posted_at: datetime = strawberry.field(description="When the ledger recorded it.")

    @classmethod
    def resolve_id(cls, root: "Entry", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return key_of(cls.node_key, root.row)

    @classmethod
    def of(cls, row: ledger.Entry) -> "Entry":
        """Show an entry."""
        return shown(cls, row, row=row)

    @resolved("Number of the transaction; entries of one transaction were posted together.",
              plan=Made(("tx_id",), str))  # fmt: skip
    def transaction(self) -> strawberry.ID:
        """Return the transaction's number, as it is on receipts."""
        return strawberry.ID(str(self.row.tx_id))

    @resolved("The unit, by its code: a group may have several that are spent.",
              plan=Looked("unit", "SELECT code FROM point_unit WHERE unit_id = {}"))  # fmt: skip
    async def unit_code(self, info: Info) -> str:
        """Return the code of what is counted."""
        return (await info.context.load.policies()).unit_by_id(self.row.unit).code

    @resolved("Node id of the lot that gained or lost the points; of what is owed, of no lot.",
              plan=Made(("member_id", "lot_id"), _lot))  # fmt: skip
    def lot(self) -> relay.GlobalID:
        """Return the lot's id, which stays when all of it is spent or has ended."""
        return _lot(self.row.member_id, self.row.lot_id)

    @resolved("The business where it happened; for an expiry, the issuer.",
              plan=BusinessOf("business_id"))  # fmt: skip
    async def business(self, info: Info) -> Business:
        """Return the acting business."""
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("The business that granted the points and owes them.", plan=BusinessOf("issuer_id"))
    async def issuer(self, info: Info) -> Business:
        """Return the points' issuer."""
        return Business.of(await info.context.business(self.row.issuer_id))

    @resolved("The member's account that acted; null where the caller may not see it.",
              plan=Related(relation=ACCOUNTS, match="account_id", seen=AT_OWN))  # fmt: skip
    async def account(self, info: Info) -> Account | None:
        """Return the acting account."""
        accounts = await visible_accounts(info, self.row.member_id)
        return next((one for one in accounts if one.account_id == self.row.account_id), None)

    @resolved("Why an earn or a clawback came to these points; null for other kinds.")
    async def explain(self, info: Info) -> EarnExplanation | None:
        """Return what the points were computed from."""
        if self.row.kind not in (Kind.EARN, Kind.CLAWBACK):
            return None
        key = (self.row.member_id, self.row.tx_id)
        explanation = await info.context.load.explanations.load(key)
        return None if explanation is None else EarnExplanation.of(explanation)


@strawberry.input(description="Which movements; all that is said holds.")
class EntryFilter:
    """By where, what and when."""

    business: str | None = strawberry.field(
        default=None, description="What happened there: a business's code."
    )
    kinds: list[EntryKind] | None = strawberry.field(default=None, description="Of these kinds.")
    from_day: date | None = strawberry.field(
        name="from", default=None, description="On that business date or later."
    )
    until_day: date | None = strawberry.field(
        name="until", default=None, description="On that business date or before."
    )


@strawberry.enum(description="By what movements are ordered.")
class EntryOrderField(Enum):
    """The orders of hub.ledger.queries."""

    POSTED = strawberry.enum_value("posted", description="The order of posting.")


@strawberry.input(description="How movements are ordered.")
class EntryOrder:
    """By what, and which way."""

    field: EntryOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


_ORDERS = {"POSTED": ledger.POSTED}
_FILTERED = {
    "business": "business_id",
    "filter.business": "business_id",
    "kind": "kinds",
    "filter.kinds": "kinds",
    "filter.from": "from_day",
    "filter.until": "until_day",
}
_CODED = "(SELECT business_id FROM business WHERE code = :code)"


def _read(given: frozenset[str], caller: Principal) -> PageRead:
    """Return what is read of the ledger for a page, by which arguments are given."""
    only = {held for said, held in _FILTERED.items() if said in given}
    business, guard = _CODED, f"{_CODED} IS NOT NULL" if "business_id" in only else None
    if caller.business is not None:
        # Of another business it asks in vain.
        own = "SELECT business_id FROM business WHERE code = :business"
        business = f"({own} AND code = :code)" if "business_id" in only else ":own_business_id"
        guard = ":own_business_id IS NOT NULL"
        only.add("business_id")
    order = order_given(given, _ORDERS, ledger.POSTED)
    return PageRead(
        relation=ledger.entry_page(order=order, stretch=stretch_given(given), only=only),
        order=order,
        facts={"business_id": business},
        guard=guard,
    )


@dataclass(frozen=True, slots=True)
class EntriesAsked:
    """A page of entries as it was asked for; `code` names the business."""

    window: Window
    order: Keyset
    code: str | None
    only: ledger.EntryFilter


def entries_asked(
    *,
    filter: EntryFilter | None = None,  # noqa: A002
    order_by: EntryOrder | None = None,
    business: str | None = None,
    kind: EntryKind | None = None,
    **page: Any,
) -> EntriesAsked:
    """Check what is asked for; raises Malformed where it is said twice, or is no page."""
    said = filter or EntryFilter()
    once("business", business, said.business)
    once("kind", kind, said.kinds)
    kinds = said.kinds if kind is None else [kind]
    order = order_of(order_by, _ORDERS, ledger.POSTED)
    asked = window(**{**_WHOLE_PAGE, **page}, shape=order.shape, mark=mark(said, order_by))
    return EntriesAsked(
        window=asked,
        order=order,
        code=said.business if business is None else business,
        only=ledger.EntryFilter(
            kinds=None if kinds is None else tuple(dict.fromkeys(Kind[one.name] for one in kinds)),
            from_day=said.from_day,
            until_day=said.until_day,
        ),
    )


_WHOLE_PAGE: dict[str, Any] = dict.fromkeys(("first", "after", "last", "before"))


def _ask(**said: Any) -> dict[str, Any]:
    asked = entries_asked(**said)
    stretch = asked.window.stretch
    return {
        "window": asked.window,
        "limit": stretch.limit,
        "code": asked.code,
        **dict.fromkeys(("debits", "credits", "from_day", "until_day", *asked.order.parameters)),
        **asked.only.facts(),
        **asked.order.facts(stretch),
    }


ENTRIES = Paged(
    read=_read,
    ask=_ask,
    live={
        "limit": "bigint",
        "code": "text",
        "debits": "smallint[]",
        "credits": "smallint[]",
        "from_day": "date",
        "until_day": "date",
    },
)
"""A member's entries, for plans; `entry_page` reads them for resolvers."""


async def entry_page(context: Context, member_id: int, asked: EntriesAsked) -> Connection[Entry]:
    """Return a page of a member's entries, newest first unless asked; a business gets its own.

    Raises NotFound for an unknown business.
    """
    caller = require(context.principal, Role.MEMBER, Role.BUSINESS, Role.STAFF)
    own, place = only_business(caller), asked.order.place
    if own is not None and asked.code not in (None, own):
        return connection([], asked.window, node=Entry.of, place=place)
    code, only = own or asked.code, asked.only
    if code is not None:
        only = replace(only, business_id=(await context.business_by_code(code)).business_id)
    key = ((only, asked.order), asked.window.stretch, member_id)
    rows = await context.load.pages.entries.load(key)
    return connection(rows, asked.window, node=Entry.of, place=place)
