"""Scopes: what a token lets its bearer do, within what the bearer's role may do at all.

A token without a `scope` claim has all scopes of its role. One that names some has those of them
that its role may have, and no others: a scope takes away, it never gives what a role has not.
"""

from collections.abc import Iterable
from enum import StrEnum

from hub.errors import Malformed


class Role(StrEnum):
    """What a caller is to the group."""

    MEMBER = "member"
    BUSINESS = "business"
    STAFF = "staff"
    FINANCE = "finance"
    ADMIN = "admin"


class Scope(StrEnum):
    """One thing that a token is good for. docs/access.md says in words what each opens."""

    MEMBERS_READ = "members:read"
    MEMBERS_PERSONAL = "members:personal"
    MEMBERS_WRITE = "members:write"
    POINTS_REDEEM = "points:redeem"
    POINTS_GIVE = "points:give"
    POINTS_ADJUST = "points:adjust"
    BENEFITS_USE = "benefits:use"
    REWARDS_ORDER = "rewards:order"
    CONSENTS_WRITE = "consents:write"
    SETTLEMENT_READ = "settlement:read"
    SETTLEMENT_DISPUTE = "settlement:dispute"
    SETTLEMENT_CLOSE = "settlement:close"
    RECONCILIATION_READ = "reconciliation:read"
    RECONCILIATION_WRITE = "reconciliation:write"
    EVENTS = "events"
    ADMIN = "admin"


OF_ROLE: dict[Role, frozenset[Scope]] = {
    Role.MEMBER: frozenset({
        Scope.MEMBERS_READ, Scope.MEMBERS_PERSONAL, Scope.MEMBERS_WRITE, Scope.POINTS_GIVE,
        Scope.CONSENTS_WRITE, Scope.REWARDS_ORDER,
    }),
    Role.BUSINESS: frozenset({
        Scope.MEMBERS_READ, Scope.MEMBERS_WRITE, Scope.POINTS_REDEEM, Scope.BENEFITS_USE,
        Scope.CONSENTS_WRITE, Scope.SETTLEMENT_READ, Scope.SETTLEMENT_DISPUTE,
        Scope.RECONCILIATION_READ, Scope.RECONCILIATION_WRITE, Scope.REWARDS_ORDER, Scope.EVENTS,
    }),
    Role.STAFF: frozenset({
        Scope.MEMBERS_READ, Scope.MEMBERS_PERSONAL, Scope.MEMBERS_WRITE, Scope.POINTS_GIVE,
        Scope.POINTS_ADJUST, Scope.CONSENTS_WRITE, Scope.SETTLEMENT_READ,
        Scope.RECONCILIATION_READ, Scope.REWARDS_ORDER, Scope.EVENTS,
    }),
    Role.FINANCE: frozenset({
        Scope.SETTLEMENT_READ, Scope.SETTLEMENT_DISPUTE, Scope.SETTLEMENT_CLOSE,
        Scope.RECONCILIATION_READ, Scope.RECONCILIATION_WRITE,
    }),
    Role.ADMIN: frozenset({Scope.ADMIN, Scope.EVENTS}),
}  # fmt: skip
"""Which scopes a role may have, and has where a token names none."""


def read_scopes(text: str, *, role: Role, field: str = "scope") -> frozenset[Scope]:
    """Return the scopes in a text, separated by blanks (RFC 6749, section 3.3).

    Raises Malformed for a word that is no scope, and for a scope that the role may not have.
    """
    return fitting_scopes(text.split(), role=role, field=field)


def fitting_scopes(names: Iterable[str], *, role: Role, field: str = "scopes") -> frozenset[Scope]:
    """Return the scopes of these names; raises Malformed as `read_scopes` does."""
    allowed = {scope.value: scope for scope in OF_ROLE[role]}
    found = set()
    for name in names:
        if name not in allowed:
            raise Malformed(
                f"{name[:50]!r} is no scope of the role {role}: it has {written(OF_ROLE[role])}",
                field=field,
            )
        found.add(allowed[name])
    return frozenset(found)


def written(scopes: Iterable[Scope]) -> str:
    """Return scopes as a token and an answer name them."""
    return " ".join(sorted(scopes))
