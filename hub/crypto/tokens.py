"""Access tokens: who is calling, signed by the hub.

A token is a JWT (RFC 7519) signed with HS256 by the keyring's token key; the header's `kid` is the
key's version, so that a renewed key does not end the tokens of the old one. What is known here is
whether a token is genuine; whether its client or session has ended since is for
`hub.callers.ended` to say. None lives longer than a day.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import NoneType
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jws import extract_compact

from hub.crypto.errors import KeyUnknown
from hub.crypto.keyring import Keyring
from hub.crypto.scopes import OF_ROLE, Role, Scope, written
from hub.errors import HubError, Malformed

__all__ = ["Principal", "Role", "Scope", "Unauthenticated", "issue", "verify", "verify_until"]

ISSUER = "group-membership-hub"
AUDIENCE = "group-membership-hub/api"
DEFAULT_TTL_SECONDS = 3600
LONGEST_TTL_SECONDS = 24 * 3600

_ALGORITHM = "HS256"
_LONGEST_TOKEN = 2048
_CLOCK_SKEW = timedelta(seconds=60)
_LONGEST = timedelta(seconds=LONGEST_TTL_SECONDS) + _CLOCK_SKEW
_TOKENS_IN_MIND = 4096
_SUBJECT = re.compile(r"[\w.:@-]{1,100}", re.ASCII)


class Unauthenticated(HubError):
    """The caller is not, or not validly, signed in. `reason` is a stable word for why."""

    code = "unauthenticated"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, reason=reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller whose token was verified.

    A member has a `member_id`, a business (its tills and systems) the `business` code it acts for;
    nobody else has either. `subject` names the caller in logs and in what it did. `scopes` are what
    the token is good for; None: all that the role may have. A system that signed in for itself has
    a `client` id with the generation that it then was in, a signed-in member a `session`.
    """

    role: Role
    subject: str
    member_id: int | None = None
    business: str | None = None
    scopes: frozenset[Scope] | None = None
    client: str | None = None
    generation: int = 0
    session: int | None = None

    def __post_init__(self) -> None:
        if _SUBJECT.fullmatch(self.subject) is None:
            raise Malformed("a subject is 1 to 100 letters, digits or .:@_-", field="subject")
        if (self.role is Role.MEMBER) != (self.member_id is not None):
            raise Malformed("a member, and nobody else, has a member id", field="member_id")
        if (self.role is Role.BUSINESS) != (self.business is not None):
            raise Malformed("a business, and nobody else, has a business code", field="business")

    def may(self, scope: Scope) -> bool:
        """Return whether the token is good for what `scope` names."""
        return scope in (OF_ROLE[self.role] if self.scopes is None else self.scopes)


def member(member_id: int) -> Principal:
    """Return the principal that a member is."""
    return Principal(role=Role.MEMBER, subject=f"member:{member_id}", member_id=member_id)


def business(code: str) -> Principal:
    """Return the principal that a business's tills and systems are."""
    return Principal(role=Role.BUSINESS, subject=f"business:{code}", business=code)


def issue(
    keyring: Keyring, principal: Principal, *, now: datetime, ttl_seconds: int = DEFAULT_TTL_SECONDS
) -> str:
    """Sign a token for `principal` that is valid for `ttl_seconds` from `now`.

    Raises Malformed when the lifetime is not positive or longer than LONGEST_TTL_SECONDS.
    """
    if not 0 < ttl_seconds <= LONGEST_TTL_SECONDS:
        raise Malformed(
            f"a token lives from 1 to {LONGEST_TTL_SECONDS} seconds", field="ttl_seconds"
        )
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": principal.subject,
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(seconds=ttl_seconds)).timestamp()),
        "role": principal.role.value,
    }
    if principal.member_id is not None:
        claims["member"] = principal.member_id
    if principal.business is not None:
        claims["business"] = principal.business
    if principal.scopes is not None:
        claims["scope"] = written(principal.scopes)
    if principal.client is not None:
        claims |= {"client_id": principal.client, "generation": principal.generation}
    if principal.session is not None:
        claims["session"] = principal.session
    header = {"alg": _ALGORITHM, "kid": str(keyring.token.active)}
    return jwt.encode(header, claims, OctKey.import_key(keyring.token_key()), [_ALGORITHM])


def verify(keyring: Keyring, token: str, *, now: datetime) -> Principal:
    """Return who `token` speaks for; raises Unauthenticated with the reason.

    Reasons: `malformed`, `unknown_key`, `invalid` (signature or claims), `expired`.
    """
    return verify_until(keyring, token, now=now)[0]


def verify_until(keyring: Keyring, token: str, *, now: datetime) -> tuple[Principal, datetime]:
    """Return who `token` speaks for, and until when; raises as `verify` does."""
    if len(token) > _LONGEST_TOKEN:
        raise Unauthenticated("the token is too long to be one of ours", reason="malformed")
    try:
        who, issued_at, until = _told(_key(keyring, token), token)
    except (JoseError, ValueError, TypeError, OverflowError):
        raise Unauthenticated("the token was not issued by this hub", reason="invalid") from None
    if until <= now:
        raise Unauthenticated("the token has expired: get a new one", reason="expired")
    # `iat` is read with some tolerance: it only dates the token, `exp` ends it.
    if issued_at > now + _CLOCK_SKEW:
        raise Unauthenticated("the token was not issued by this hub", reason="invalid")
    if until - issued_at > _LONGEST:
        raise Unauthenticated("the token lives too long", reason="invalid")
    return who, until


@lru_cache(_TOKENS_IN_MIND)
def _told(key: bytes, token: str) -> tuple[Principal, datetime, datetime]:
    """Return whom a token names, since when and until when.

    Of one key and one text that is always the same, so it is kept in mind; whether it holds at a
    moment is not. What is refused is not kept. Raises JoseError, ValueError or TypeError where
    `key` did not sign it or a claim is not one of ours, Unauthenticated where it names nobody.
    """
    claims = jwt.decode(token, OctKey.import_key(key), [_ALGORITHM]).claims
    registry = jwt.JWTClaimsRegistry(
        now=claims.get("iat", 0),
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        sub={"essential": True},
        iat={"essential": True},
        exp={"essential": True},
        role={"essential": True},
    )
    registry.validate(claims)
    issued_at, until = (datetime.fromtimestamp(claims[one], UTC) for one in ("iat", "exp"))
    return _principal(claims), issued_at, until


@lru_cache(_TOKENS_IN_MIND)
def _header(token: str) -> Mapping[str, Any]:
    return extract_compact(token.encode()).headers()


def _key(keyring: Keyring, token: str) -> bytes:
    try:
        version = int(_header(token)["kid"])
    except (JoseError, ValueError, KeyError, TypeError):
        raise Unauthenticated("this is not an access token", reason="malformed") from None
    try:
        return keyring.token.version(version)
    except KeyUnknown:
        raise Unauthenticated(
            "the token was signed with a key that is gone: ask for a new one", reason="unknown_key"
        ) from None


def _principal(claims: dict[str, Any]) -> Principal:
    try:
        kinds = {"member": int, "business": str, "client_id": str, "generation": int,
                 "session": int, "scope": str}  # fmt: skip
        said = {name: claims.get(name) for name in kinds}
        if any(type(said[name]) not in (kind, NoneType) for name, kind in kinds.items()):
            raise TypeError("a claim of another type")
        who = Principal(
            role=Role(claims["role"]),
            subject=claims["sub"],
            member_id=said["member"],
            business=said["business"],
            client=said["client_id"],
            generation=said["generation"] or 0,
            session=said["session"],
        )
    except (Malformed, TypeError, ValueError):
        raise Unauthenticated("the token names nobody known here", reason="invalid") from None
    return who if said["scope"] is None else limited(who, said["scope"].split())


def limited(principal: Principal, names: Iterable[str]) -> Principal:
    """Return the principal with the scopes of these names that its role may have.

    Other names are left out: a token may be meant for other services too.
    """
    named = set(names)
    scopes = frozenset(scope for scope in OF_ROLE[principal.role] if scope.value in named)
    return replace(principal, scopes=scopes)
