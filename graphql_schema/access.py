"""Who may see and do what: the one place that decides. Pure.

| | members | entries, accounts | settlement | moves points |
|---|---|---|---|---|
| nobody | – | – | – | – |
| member | itself, in full | its own | – | – |
| business | who has an account there or is presented, masked | its own | its own part | its own |
| staff | all, masked unless asked | all | all | – |
| finance | – | – | all | – |

A statement of account tells what moved at all businesses: it is for the member and for staff.
What an issuer owes is part of settlement: a business sees its own.
A member's notices are for the member and for staff; a business is shown none.

Codes that prove a phone are for the member and for the business that serves them; a join code is
the member's alone, to be scanned by a business. What was given wrong is for the business that gave
it, and for staff; they alone release what was taken for shared.

What a caller may not know of is answered as if it were not there.
"""

from collections.abc import Collection

from hub.crypto.tokens import Principal, Role, Unauthenticated
from hub.errors import Forbidden

MEMBER_READERS = (Role.MEMBER, Role.BUSINESS, Role.STAFF)
STATEMENT_READERS = (Role.MEMBER, Role.STAFF)
VERIFIERS = (Role.MEMBER, Role.BUSINESS)
MISTAKE_READERS = (Role.BUSINESS, Role.STAFF)
SETTLEMENT_READERS = (Role.BUSINESS, Role.STAFF, Role.FINANCE)
EVERYBODY = tuple(Role)


def require(principal: Principal | None, *roles: Role) -> Principal:
    """Return the caller if it has one of `roles`; raises Unauthenticated or Forbidden."""
    if principal is None:
        raise Unauthenticated(
            "sign in: send `Authorization: Bearer` with an access token", reason="missing"
        )
    if principal.role not in roles:
        raise Forbidden(f"this is not for the role {principal.role}", role=principal.role.value)
    return principal


def only_business(principal: Principal) -> str | None:
    """Return the business whose rows alone the caller may see; None: those of all."""
    return principal.business


def may_see_member(
    principal: Principal, *, member_id: int, own_id: int | None, customer_of: Collection[str]
) -> bool:
    """Return whether the caller may know of a member.

    `own_id` is the member that the caller is now, `customer_of` the businesses that the member has
    an account with.
    """
    match principal.role:
        case Role.MEMBER:
            return member_id == own_id
        case Role.BUSINESS:
            return principal.business in customer_of
        case Role.STAFF:
            return True
        case Role.FINANCE:
            return False


def reads_notices(principal: Principal) -> bool:
    """Return whether the caller may read what a member was told: the member itself, and staff."""
    return principal.role in (Role.MEMBER, Role.STAFF)


def masks(principal: Principal, *, asked: bool | None) -> bool:
    """Return whether personal fields are masked for the caller, who may have asked for either.

    A member sees itself in full, everybody else masked unless staff ask. Raises Forbidden when a
    business asks for what is behind the mask.
    """
    if asked is None:
        return principal.role is not Role.MEMBER
    if not asked and principal.role not in (Role.MEMBER, Role.STAFF):
        raise Forbidden("a business sees personal fields masked", field="masked")
    return asked


def acting_business(principal: Principal | None, *, asked: str | None) -> str:
    """Return the code of the business that points move at: the caller's own.

    Raises Unauthenticated, and Forbidden for other roles and for a business that asks to act for
    another one.
    """
    code = require(principal, Role.BUSINESS).business
    if code is None or asked not in (None, code):
        raise Forbidden("a business acts only for itself", field="business")
    return code


def visible_business(principal: Principal, *, asked: str) -> str:
    """Return `asked` if the caller may see that business's own figures; raises Forbidden."""
    if principal.business not in (None, asked):
        raise Forbidden("a business sees only its own figures", field="business")
    return asked
