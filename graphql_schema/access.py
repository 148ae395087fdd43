"""Who may see and do what: the one place that decides. Pure.

| | members | entries, accounts | settlement | till | gives, shares | corrects | calls |
|---|---|---|---|---|---|---|---|
| nobody | – | – | – | – | – | – | – |
| member | itself, in full | its own | – | – | its own points | – | – |
| business | with an account, or presented; masked | its own | its own | its own | – | – | its own |
| staff | all, masked unless asked | all | all | – | for a member | all | all, and pulls |
| finance | – | – | all, and closes | – | – | – | – |
| admin | – | – | – | – | – | – | all, and pulls |

An admin says who may call and how the group is configured: clients and their secrets, and whose
word on a member is believed. It sees nothing of any member, and no points.
Calls are the webhooks that subscribers are told by, at which address and with what answer, and what
systems told the hub and what came of it: who sees them may have them done again. What a call said
is shown to none. How far the pulls of each connection are, and asking for the past, is for staff
and admins.
A token may be good for less than its role: `hub.crypto.scopes` has the words, and
`graphql_schema.scoped` says which of them each operation asks for.

A till redeems, holds, captures, voids and restores. Who gives transfers points and shares them in a
pool. Staff correct: adjust (a second person above the policy's threshold), extend, reinstate and
recover; what is proposed is seen by staff alone. They give and revoke tiers and benefits; of
ladders a business sees the group's and its own. Plans of paid membership are kept by staff and by
the business that sells them.

How full a house was is stated by itself and by staff; an agreement is seen by both its sides.
Finance alone closes, approves and issues a period; who did so, and what was checked and waived, is
for finance and staff.
Whom a member referred is for the member and staff, by masked names; its code is its own alone.
A statement of account tells what moved at all businesses: it is for the member and for staff.
What an issuer owes is part of settlement, and so are the books of it: a business sees its own.
A business disputes lines of its own statement, and its other side answers; finance alone decides.
Finance alone proposes, approves and rejects corrections, which staff see.
Finance alone proposes, approves and rejects estimates, and recognises a period.
What stands between a business's own book and the hub is for finance and staff, and for the
business: it runs and matches its own books and asks for write-offs and adjustments, to which
finance agrees. Bank statements are finance's, and so is what the other business's book says.
A member's notices are for the member and for staff; a business is shown none.
Of a member's name, phone and email a business sees what its own legal entity was told, and what
others were told if the member agreed that it is shared with that entity (hub.privacy.shown_to).
It is not told which other business said so, nor the birthday; who pinned a value is for staff.
Doubts about who somebody is are put to staff alone, masked unless they ask.
What a member said of consents a business sees as far as it was said to its own legal entity.
Only staff list members, erase a member, see, place and release what forbids that, merge and split
members, and see what joins a member's births.
A copy of everything held about a member is for itself and for staff; of what staff wrote for each
other, and of what its data is kept for, the member is told nothing (hub.rights.audience).
A pool's code is for its members alone, and so is a voucher's for who has it. A business sees of a
member's vouchers those that it takes, and of what happened to them what did so at its own tills;
campaigns are for businesses that take or pay for them, for staff and finance.
A cart is quoted to the business that asks, for whom it serves, to a member for itself at any
business, and to staff; tills alone reserve, redeem, release and refund one.
The catalogue of rewards is for everybody who is signed in. A member orders for itself, a business
what it offers for whom it serves, staff for anybody; the business that offers a reward, and staff,
receive its stock, note that it was paid for and handed out, and see its orders.

Rules of the programme that hold or have held are for everybody who is signed in. Those to come, and
what a point costs and who pays for it, are for staff and finance, and for a business of its own.

Codes that prove a phone are for the member and for the business that serves them; a join code is
the member's alone, to be scanned by a business. What was given wrong is for the business that gave
it, and for staff; they alone release what was taken for shared.

What a caller may not know of is answered as if it were not there.
"""

from hub.crypto.tokens import Principal, Role, Scope, Unauthenticated
from hub.db.caller import Caller
from hub.errors import Forbidden

MEMBER_READERS = (Role.MEMBER, Role.BUSINESS, Role.STAFF)
STATEMENT_READERS = (Role.MEMBER, Role.STAFF)
VERIFIERS = (Role.MEMBER, Role.BUSINESS)
MISTAKE_READERS = (Role.BUSINESS, Role.STAFF)
CLOSERS = (Role.FINANCE,)
DISPUTERS = (Role.BUSINESS, Role.FINANCE)
CLOSE_READERS = (Role.STAFF, Role.FINANCE)
SETTLEMENT_READERS = (Role.BUSINESS, Role.STAFF, Role.FINANCE)
RECONCILERS = (Role.BUSINESS, Role.FINANCE)
GIVERS = (Role.MEMBER, Role.STAFF)
CORRECTORS = (Role.STAFF,)
REFERRAL_READERS = (Role.MEMBER, Role.STAFF)
PLAN_KEEPERS = (Role.BUSINESS, Role.STAFF)
ADMINS = (Role.ADMIN,)
WEBHOOK_READERS = (Role.BUSINESS, Role.STAFF, Role.ADMIN)
CONNECTION_KEEPERS = (Role.STAFF, Role.ADMIN)
OCCUPANCY_STATERS = (Role.BUSINESS, Role.STAFF)
VOUCHER_READERS = (Role.MEMBER, Role.BUSINESS, Role.STAFF, Role.FINANCE)
CAMPAIGN_READERS = (Role.BUSINESS, Role.STAFF, Role.FINANCE)
QUOTERS = (Role.MEMBER, Role.BUSINESS, Role.STAFF)
CLAIMERS = (Role.MEMBER, Role.STAFF)
ORDERERS = (Role.MEMBER, Role.BUSINESS, Role.STAFF)
REWARD_KEEPERS = (Role.BUSINESS, Role.STAFF)
CONSENT_RECORDERS = (Role.MEMBER, Role.BUSINESS, Role.STAFF)
EVERYBODY = tuple(Role)


def require(principal: Principal | None, *roles: Role, scope: Scope | None = None) -> Principal:
    """Return the caller if it has one of `roles`, and a token that is good for `scope`.

    Raises Unauthenticated or Forbidden.
    """
    if principal is None:
        raise Unauthenticated(
            "sign in: send `Authorization: Bearer` with an access token", reason="missing"
        )
    if principal.role not in roles:
        raise Forbidden(f"this is not for the role {principal.role}", role=principal.role.value)
    if scope is not None and not principal.may(scope):
        raise Forbidden(f"the token has not the scope {scope}", scope=scope.value)
    return principal


def sight(principal: Principal | None) -> tuple[bool, ...] | None:
    """Return what of a caller, beside its role, decides what a read shows it; None: nothing."""
    if principal is None or principal.scopes is None:
        return None
    return tuple(principal.may(scope) for scope in _OF_READS)


_OF_READS = (Scope.MEMBERS_READ, Scope.MEMBERS_PERSONAL, Scope.SETTLEMENT_READ,
             Scope.RECONCILIATION_READ, Scope.ADMIN)  # fmt: skip


def only_business(principal: Principal) -> str | None:
    """Return the business whose rows alone the caller may see; None: those of all."""
    return principal.business


def sees_member(principal: Principal | None) -> str:
    """Return the condition on which the caller may know of a member.

    It is SQL on `m`, the member as it is now; `:own_member_id` and `:business` are the caller's.
    Raises Unauthenticated or Forbidden for callers who may see no member at all.
    """
    match require(principal, *MEMBER_READERS, scope=Scope.MEMBERS_READ).role:
        case Role.MEMBER:
            return """m.member_id = (SELECT coalesce(o.merged_into, o.member_id) FROM member o
              WHERE o.member_id = :own_member_id AND o.erased_at IS NULL)"""
        case Role.BUSINESS:
            return """EXISTS (SELECT 1 FROM member f
              JOIN account_link l ON l.member_id = f.member_id AND upper_inf(l.valid)
              JOIN account a ON a.account_id = l.account_id
              JOIN business b ON b.business_id = a.business_id
              WHERE (f.member_id = m.member_id OR f.merged_into = m.member_id)
                AND b.code = :business)"""
        case _:
            return "true"


def reads_notices(principal: Principal) -> bool:
    """Return whether the caller may read what a member was told: the member itself, and staff."""
    return principal.role in (Role.MEMBER, Role.STAFF)


def reads_pool_code(principal: Principal) -> bool:
    """Return whether the caller may read the code of a pool: who has it may spend from the pool."""
    return principal.role is Role.MEMBER


def reads_voucher_code(principal: Principal) -> bool:
    """Return whether the caller may read codes of its vouchers: who has one may use it."""
    return principal.role is Role.MEMBER


def reads_voucher_history(principal: Principal, *, of_own: bool) -> bool:
    """Return whether the caller may read what happened to a voucher; a business, its own part."""
    return of_own or principal.role in (Role.BUSINESS, Role.STAFF)


def reads_birthday(principal: Principal) -> bool:
    """Return whether the caller may read a birthday: the member itself, and staff."""
    return principal.role in (Role.MEMBER, Role.STAFF)


def reads_pins(principal: Principal) -> bool:
    """Return whether the caller may read who pinned what is shown of a member, and why."""
    return principal.role is Role.STAFF


def masks(principal: Principal, *, asked: bool | None) -> bool:
    """Return whether personal fields are masked for the caller, who may have asked for either.

    A member sees itself in full, everybody else masked unless staff ask. Raises Forbidden when a
    business asks for what is behind the mask, or a token without the scope that lifts it.
    """
    if asked is None:
        return principal.role is not Role.MEMBER or not principal.may(Scope.MEMBERS_PERSONAL)
    if not asked and principal.role not in (Role.MEMBER, Role.STAFF):
        raise Forbidden("a business sees personal fields masked", field="masked")
    if not asked:
        require(principal, *EVERYBODY, scope=Scope.MEMBERS_PERSONAL)
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


def acts_at(principal: Principal, code: str) -> None:
    """Raise Forbidden when a business acts on what another one offers."""
    if principal.business not in (None, code):
        raise Forbidden("a business acts only for itself", field="business")


def consent_business(principal: Principal, *, asked: str) -> str:
    """Return the business for whose legal entity a consent is recorded; raises Forbidden."""
    if principal.business not in (None, asked):
        raise Forbidden("a business records only what was said to itself", field="business")
    return asked


def visible_business(principal: Principal, *, asked: str) -> str:
    """Return `asked` if the caller may see that business's own figures; raises Forbidden."""
    if principal.business not in (None, asked):
        raise Forbidden("a business sees only its own figures", field="business")
    return asked


def reader(principal: Principal | None, *, presented: tuple[int, ...] = ()) -> Caller:
    """Return as whom the database reads for the caller: its own second wall behind all this.

    `presented` are members whom a business was shown an identifier of.
    """
    if principal is None:
        return Caller()
    return Caller(
        role=f"hub_{principal.role.value}",
        member_id=principal.member_id,
        business=principal.business,
        presented=presented,
    )


def caller_facts(principal: Principal | None) -> dict[str, object]:
    """Return what conditions of this module ask of the caller."""
    if principal is None:
        return {}
    return {"own_member_id": principal.member_id, "business": principal.business}
