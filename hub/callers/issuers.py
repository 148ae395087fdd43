"""Issuers of people's tokens: what of an OpenID provider's access token makes a caller. Pure.

The hub is a resource server (RFC 9068): it asks that a token is signed by a key of its issuer, with
an algorithm that the issuer is known to use, for this hub, and within its time. Who somebody is to
the group is said by one claim, translated by the operator's own table.
"""

import json
import math
import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from joserfc.jws import extract_compact
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from hub.crypto import tokens
from hub.crypto.tokens import Principal, Role, Unauthenticated
from hub.errors import Malformed

SKEW_SECONDS = 60
LONGEST_TOKEN = 16_384
_PLAIN = re.compile(r"(?!sha256-)[\w.@-]{1,60}", re.ASCII)
_TYPES = {None, "jwt", "at+jwt", "application/at+jwt"}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# Those with a public key alone: what everybody may know must not be taken for a shared secret.
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "Ed25519",
]  # fmt: skip


class Issuer(BaseModel):
    """One provider, as the operator configures it.

    `name` stands before the subject in whatever is kept of who did something, so that a person is
    one name, and never another provider's. A claim is named by its path: `realm_access.roles`.
    A caller with several roles has the first in the order of `roles`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")
    issuer: str = Field(max_length=500)
    audience: str = Field(min_length=1, max_length=500)
    jwks_uri: str | None = None
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256", "EdDSA"), min_length=1)
    subject_claim: str = "sub"
    role_claim: str = "roles"
    roles: dict[str, Role] = Field(min_length=1)
    scope_claim: str | None = None
    member_claim: str | None = None
    business_claim: str | None = None

    @field_validator("name")
    @classmethod
    def _is_nobody_elses(cls, name: str) -> str:
        if name in ("member", "business", "client"):
            raise ValueError("the hub's own callers are called so")
        return name

    @field_validator("issuer", "jwks_uri")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://x")
        plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not plain and (parts.scheme != "https" or not parts.hostname):
            raise ValueError("an https:// address was expected")
        return url


def read_issuers(said: str) -> tuple[Issuer, ...]:
    """Return the issuers that a setting names: a JSON list, or the path of a file that holds one.

    Raises Malformed which names the field.
    """
    text = said.strip()
    if not text:
        return ()
    try:
        if not text.startswith("["):
            text = Path(text).read_text()
        found = TypeAdapter(tuple[Issuer, ...]).validate_json(text)
    except OSError as failure:
        raise Malformed(f"HUB_OIDC: {failure.strerror}", field="HUB_OIDC") from None
    except ValidationError as bad:
        first = bad.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise Malformed(f"HUB_OIDC: {place}: {first['msg']}", field="HUB_OIDC") from None
    for told in ("name", "issuer"):
        if len({getattr(one, told) for one in found}) < len(found):
            raise Malformed(f"HUB_OIDC: two issuers have one {told}", field="HUB_OIDC")
    return found


def peek(token: str) -> tuple[dict[str, Any], object]:
    """Return the header of a token and its `iss`, neither of which is proven yet."""
    try:
        compact = extract_compact(token.encode())
        claims = json.loads(compact.payload)
        return dict(compact.headers()), claims.get("iss")
    except Exception:
        # Whatever a stranger sent, it is no token; the libraries raise many things for that.
        raise Unauthenticated("this is not an access token", reason="malformed") from None


def check_header(issuer: Issuer, header: dict[str, Any]) -> str | None:
    """Return the key's id that a header names; raises Unauthenticated for what is not allowed."""
    kid, kind = header.get("kid"), header.get("typ")
    if header.get("alg") not in issuer.algorithms or "crit" in header:
        raise Unauthenticated("the token is signed as its issuer does not", reason="invalid")
    if not isinstance(kind, str | None) or (kind.lower() if kind else None) not in _TYPES:
        raise Unauthenticated("this is no access token", reason="invalid")
    if kid is not None and (not isinstance(kid, str) or len(kid) > 200):
        raise Unauthenticated("the token's key has no such name", reason="invalid")
    return kid


def principal_of(
    issuer: Issuer, claims: dict[str, Any], *, now: datetime
) -> tuple[Principal, datetime]:
    """Return the caller that proven claims make, and until when; raises Unauthenticated."""
    until = _in_time(issuer, claims, now.timestamp())
    subject = claim(claims, issuer.subject_claim)
    if not isinstance(subject, str) or not subject or len(subject) > 500:
        raise Unauthenticated("the token names nobody", reason="invalid")
    said = claim(claims, issuer.role_claim)
    names = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    role = next((role for name, role in issuer.roles.items() if name in names), None)
    if role is None:
        raise Unauthenticated("the token gives no role in this hub", reason="no_role")
    try:
        who = Principal(
            role=role,
            subject=actor(issuer.name, subject),
            member_id=_number(claims, issuer.member_claim) if role is Role.MEMBER else None,
            business=_text(claims, issuer.business_claim) if role is Role.BUSINESS else None,
        )
    except Malformed as bad:
        raise Unauthenticated(f"the token does not fit: {bad.message}", reason="invalid") from None
    if issuer.scope_claim is not None:
        scopes = claim(claims, issuer.scope_claim)
        named = scopes.split() if isinstance(scopes, str) else scopes
        words = [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
        who = tokens.limited(who, words)
    return who, datetime.fromtimestamp(until, UTC)


def actor(name: str, subject: str) -> str:
    """Return by what one person of one issuer is known: no two are alike."""
    plain = subject
    if _PLAIN.fullmatch(subject) is None:
        plain = f"sha256-{sha256(subject.encode()).hexdigest()}"
    return f"{name}:{plain}"


def claim(claims: dict[str, Any], path: str) -> Any:
    """Return what stands at a path in claims; None if nothing does.

    A claim of the whole name comes first: names may have dots (`https://example.com/roles`).
    """
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _in_time(issuer: Issuer, claims: dict[str, Any], seconds: float) -> float:
    """Return when the token ends; raises Unauthenticated unless it is for us, and holds now."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer.issuer or issuer.audience not in audiences:
        raise Unauthenticated("the token is for another service", reason="audience")
    until, since, issued = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    if until is None:
        raise Unauthenticated("the token has no end", reason="invalid")
    if seconds >= until + SKEW_SECONDS:
        raise Unauthenticated("the token has expired: get a new one", reason="expired")
    if any(at is not None and at > seconds + SKEW_SECONDS for at in (since, issued)):
        raise Unauthenticated("the token is for later", reason="invalid")
    return until + SKEW_SECONDS


def _moment(claims: dict[str, Any], name: str) -> float | None:
    at = claims.get(name)
    if at is None:
        return None
    if type(at) not in (int, float) or not math.isfinite(at) or not 0 <= at < 1e11:
        raise Unauthenticated(f"{name} is no time", reason="invalid")
    return float(at)


def _number(claims: dict[str, Any], path: str | None) -> int | None:
    said = None if path is None else claim(claims, path)
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) < 19:
        return int(said)
    return said if type(said) is int and 0 < said < 2**63 else None


def _text(claims: dict[str, Any], path: str | None) -> str | None:
    said = None if path is None else claim(claims, path)
    return said if isinstance(said, str) and said else None
