"""Finding a member: by node id, by what they present at a till, by search."""

from typing import Annotated

import strawberry
from strawberry import relay

from graphql_schema.access import EVERYBODY, require, sees_member
from graphql_schema.context import Context, Info
from graphql_schema.fields import resolved
from graphql_schema.member import Member, visible_member
from graphql_schema.plan.declared import Found, Unplanned
from graphql_schema.rejections import MemberUnknown, member_unknown
from hub.crypto.tokens import Principal, Role, Scope
from hub.db.caller import Presented
from hub.db.relation import Relation
from hub.errors import Malformed
from hub.members.identifiers import Kind
from hub.members.queries import OWNER, digests_of, find, is_local, known, possible_digests

LONGEST_IDENTIFIER = 200
LARGEST_KEY = 2**63
_MOST_DIGITS = 19


@strawberry.input(one_of=True, description="Something that a person can present. Give one.")
class Identifier:
    """An identifier of one kind; the others are unset."""

    phone: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="A phone number; without country code it is read as in the group's countries.",
    )
    email: str | None = strawberry.field(default=strawberry.UNSET, description="An email address.")
    loyalty_id: str | None = strawberry.field(
        default=strawberry.UNSET, description="A loyalty number of any of the businesses."
    )


@strawberry.input(
    one_of=True, description="Whom a till serves: give the node id or what the person presented."
)
class MemberKey:
    """A member by id or by an identifier of one kind; the others are unset."""

    id: relay.GlobalID | None = strawberry.field(
        default=strawberry.UNSET,
        description="Node id of a member who has an account with the business.",
    )
    phone: str | None = strawberry.field(
        default=strawberry.UNSET, description="As in `Identifier`."
    )
    email: str | None = strawberry.field(
        default=strawberry.UNSET, description="As in `Identifier`."
    )
    loyalty_id: str | None = strawberry.field(
        default=strawberry.UNSET, description="As in `Identifier`."
    )


_KINDS = {"phone": Kind.PHONE, "email": Kind.EMAIL, "loyalty_id": Kind.LOYALTY_ID}
_ID = Annotated[relay.GlobalID, strawberry.argument(description="The member's node id.")]
_PRESENTED = Annotated[Identifier, strawberry.argument(description="What the person is found by.")]


def node_key(id_: relay.GlobalID, type_name: str, *, parts: int, field: str) -> tuple[int, ...]:
    """Return the numbers in the id of a node of that type; raises Malformed naming `field`."""
    numbers = id_.node_id.split(".")
    whole = all(
        n.isascii() and n.isdigit() and len(n) <= _MOST_DIGITS and int(n) < LARGEST_KEY
        for n in numbers
    )
    if id_.type_name != type_name or len(numbers) != parts or not whole:
        article = "an" if type_name[0] in "AEIOU" else "a"
        raise Malformed(f"this is not the id of {article} {type_name}", field=field)
    return tuple(int(n) for n in numbers)


def whole_number(text: str, *, field: str) -> int:
    """Return the number that an id is; raises Malformed naming `field`."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise Malformed("this is no number of ours", field=field)
    number = int(text)
    if number >= LARGEST_KEY:
        raise Malformed("this is no number of ours", field=field)
    return number


async def find_by(context: Context, presented: object, *, field: str) -> Member | None:
    """Return the member whom an identifier leads to, or None; raises Malformed for an empty one.

    `presented` has an attribute per kind of identifier. The caller's right is checked before.
    """
    kind, value = _presented(presented, field=field)
    async with context.reading() as db:
        member_id = await find(db, kind=kind, value=value, keyring=context.keyring)
    if member_id is None:
        return None
    if context.principal is not None and context.principal.business is not None:
        await context.present(member_id)
    return Member(member_id=member_id)


def _presented(presented: object, *, field: str) -> tuple[Kind, str]:
    for name, kind in _KINDS.items():
        value = getattr(presented, name)
        if not isinstance(value, str):
            continue
        if not 1 <= len(value) <= LONGEST_IDENTIFIER:
            raise Malformed(f"an identifier has 1 to {LONGEST_IDENTIFIER} characters", field=field)
        return kind, value
    raise Malformed("give a phone number, an email address or a loyalty number", field=field)


async def presented_digests(context: Context, presented: object, *, field: str) -> Presented:
    """Return what the database knows an identifier by; raises Malformed for an empty one."""
    kind, value = _presented(presented, field=field)
    if not is_local(kind, value):
        return int(kind), digests_of(kind, value, keyring=context.keyring)
    async with context.reading() as db:
        digests = await possible_digests(db, kind=kind, value=value, keyring=context.keyring)
    return int(kind), digests


async def reached_member(context: Context, key: MemberKey) -> Member | None:
    """Return the member a till serves, or None when the business may know of none.

    Raises Malformed for what is no id or identifier.
    """
    if isinstance(key.id, relay.GlobalID):
        (member_id,) = node_key(key.id, "Member", parts=1, field="member")
        return await visible_member(context, member_id)
    return await find_by(context, key, field="member")


async def served(context: Context, key: MemberKey | None) -> int | MemberUnknown | None:
    """Return the member whom a till serves, None where it says none; raises as above."""
    if key is None:
        return None
    member = await reached_member(context, key)
    return member_unknown() if member is None else member.member_id


_SET = {"member_ids": "bigint[]"}


def _own(principal: Principal | None) -> Relation | None:
    if require(principal, *EVERYBODY).role is not Role.MEMBER:
        return None
    require(principal, Role.MEMBER, scope=Scope.MEMBERS_READ)
    return known("true")


def _own_id(context: Context) -> dict[str, list[int | None]]:
    return {"member_ids": [context.caller.member_id]}


def _visible(principal: Principal | None) -> Relation:
    return known(sees_member(principal))


def _asked_id(_context: Context, id: relay.GlobalID) -> dict[str, tuple[int, ...]]:  # noqa: A002
    return {"member_ids": node_key(id, "Member", parts=1, field="id")}


def _found_by(*roles: Role, many: bool) -> Found:
    def relation(principal: Principal | None) -> Relation:
        require(principal, *roles)
        return OWNER

    def digests(context: Context, **asked: object) -> dict[str, object]:
        ((field, presented),) = asked.items()
        kind, value = _presented(presented, field=field)
        if is_local(kind, value):
            raise Unplanned("it takes the group's countries to read the number")
        return {"kind": int(kind), "digests": digests_of(kind, value, keyring=context.keyring)}

    return Found(
        relation=relation, ask=digests, live={"kind": "smallint", "digests": "bytea[]"}, many=many
    )


@strawberry.type
class MemberQuery:
    """Reads of members."""

    @resolved("The member who is signed in; null for everybody else.",
              plan=Found(relation=_own, live=_SET, ask=_own_id))  # fmt: skip
    async def me(self, info: Info) -> Member | None:
        """Return the caller's own card."""
        if _own(info.context.principal) is None:
            return None
        own_id = await info.context.own_member_id()
        return None if own_id is None else Member(member_id=own_id)

    @resolved("A member: oneself, a customer of one's own business, for staff anybody.",
              plan=Found(relation=_visible, live=_SET, ask=_asked_id))  # fmt: skip
    async def member(self, info: Info, id: _ID) -> Member | None:  # noqa: A002
        """Return a member by node id; null when there is none that the caller may see."""
        (member_id,) = _asked_id(info.context, id)["member_ids"]
        return await visible_member(info.context, member_id)

    @resolved("Members with an identifier, for staff. An unverified one counts if it leads to one "
              "member only.", plan=_found_by(Role.STAFF, many=True))  # fmt: skip
    async def member_search(self, info: Info, by: _PRESENTED) -> list[Member]:
        """Return whom an identifier leads to."""
        require(info.context.principal, Role.STAFF)
        found = await find_by(info.context, by, field="by")
        return [] if found is None else [found]

    @resolved("The member who presents an identifier at a till, for businesses.",
              plan=_found_by(Role.BUSINESS, many=False))  # fmt: skip
    async def member_by_identifier(self, info: Info, presented: _PRESENTED) -> Member | None:
        """Return whom an identifier leads to, masked."""
        require(info.context.principal, Role.BUSINESS)
        return await find_by(info.context, presented, field="presented")
