"""What requests of members' own apps and of staff share: for whom, at which business, which key."""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from strawberry import relay

from graphql_schema.access import require
from graphql_schema.context import Context
from graphql_schema.finding import MemberKey, node_key, reached_member
from graphql_schema.member import Member
from graphql_schema.till import checked_key
from hub.crypto.tokens import Principal, Role
from hub.errors import Malformed, NotFound
from hub.programme.queries import Business

LONGEST_KEY = 160
KEY = (
    "Chosen by the caller, once per request, 1 to 160 characters: sending the same request again "
    "returns the first answer."
)
FOR_WHOM = "For whom; unsaid, the member who is signed in. Only staff act for others."
BUSINESS = "The business in whose books it stands; unsaid, that of the member's oldest account."


@dataclass(frozen=True, slots=True)
class Desk:
    """Who asks, for which member, the ledger's idempotency key, and the group's date."""

    caller: Principal
    member: Member
    idempotency_key: str
    today: date


class Booked(Protocol):
    """A request that stands in a business's books."""

    @property
    def member(self) -> MemberKey | None:
        """Return for whom it is."""

    @property
    def idempotency_key(self) -> str:
        """Return what makes it one request."""

    @property
    def business(self) -> str | None:
        """Return in whose books it stands."""


async def open_desk(
    context: Context, *, roles: tuple[Role, ...], member: MemberKey | None, idempotency_key: str
) -> Desk:
    """Return for whom a member or staff act.

    Raises Unauthenticated; Forbidden for roles other than `roles`; NotFound for a member whom the
    caller may not act for; Malformed for a key that is empty or too long.
    """
    caller = require(context.principal, *roles)
    checked_key(idempotency_key, longest=LONGEST_KEY)
    return Desk(
        caller,
        await _for_whom(context, caller, member),
        _key(caller, idempotency_key),
        await context.load.today(),
    )


async def _for_whom(context: Context, caller: Principal, asked: MemberKey | None) -> Member:
    """Return the member; a member acts for itself alone, and learns of nobody else by asking."""
    found = None if asked is None else await reached_member(context, asked)
    if caller.role is Role.STAFF and asked is None:
        raise Malformed("say for which member", field="member")
    own_id = await context.own_member_id()
    if caller.role is Role.MEMBER and asked is None and own_id is not None:
        return Member(member_id=own_id)
    if found is None or (caller.role is Role.MEMBER and found.member_id != own_id):
        raise NotFound("no such member is known to this caller", field="member_id")
    return found


def _key(caller: Principal, idempotency_key: str) -> str:
    """Keep the keys of members, of staff and of tills apart: they share a ledger."""
    if caller.member_id is not None:
        return f"member:{caller.member_id}:{idempotency_key}"
    return f"staff:{idempotency_key}"


async def business_named(context: Context, code: str) -> Business:
    """Return the business called `code`; raises Malformed."""
    try:
        return await context.business_by_code(code)
    except NotFound as unknown:
        raise Malformed(unknown.message, field="business") from None


async def business_for(context: Context, desk: Desk, asked: str | None) -> Business:
    """Return the business in whose books a request stands.

    Raises Malformed for one that is not there or has no shop, and when the member has no account to
    go by.
    """
    if asked is not None:
        return (await business_named(context, asked)).with_a_shop()
    accounts = await context.load.accounts.load(desk.member.member_id) or []
    if not accounts:
        raise Malformed("this member has no account: name a business", field="business")
    return await context.business(accounts[0].business_id)


async def open_books(
    context: Context, asked: Booked, *, roles: tuple[Role, ...]
) -> tuple[Desk, Business]:
    """Return for whom a member or staff act, and the business in whose books it stands.

    Raises as `open_desk` and `business_for` do.
    """
    desk = await open_desk(
        context, roles=roles, member=asked.member, idempotency_key=asked.idempotency_key
    )
    return desk, await business_for(context, desk, asked.business)


def lot_of(member: Member, lot: relay.GlobalID) -> int:
    """Return the number of a lot of the member; raises Malformed for another's."""
    holder_id, lot_id = node_key(lot, "Lot", parts=2, field="lot")
    if holder_id != member.member_id:
        raise Malformed("this lot is another member's", field="lot")
    return lot_id
