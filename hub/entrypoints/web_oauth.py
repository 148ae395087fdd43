"""`POST /oauth/token`: systems sign in for themselves (OAuth 2.0 client credentials, RFC 6749).

And `GET /.well-known/oauth-authorization-server`, which says so to libraries (RFC 8414).
"""

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.callers.authenticate import authenticate
from hub.callers.queries import Client
from hub.clock import now
from hub.crypto import tokens
from hub.crypto.scopes import Scope, read_scopes, written
from hub.crypto.tokens import Principal, Unauthenticated
from hub.entrypoints.web_limits import small_body
from hub.entrypoints.web_state import state_of
from hub.errors import Malformed

TTL_SECONDS = 900
LARGEST_BODY = 8_192
MOST_A_MINUTE = 120
_FORM = "application/x-www-form-urlencoded"
_NEVER_KEPT = {"cache-control": "no-store", "pragma": "no-cache"}

log = structlog.get_logger(__name__)


class _No(Exception):
    """What RFC 6749 section 5.2 calls an error response."""

    def __init__(self, error: str, why: str, *, status: int = 400, basic: bool = False) -> None:
        super().__init__(error)
        self.error, self.why, self.status, self.basic = error, why, status, basic


async def token(request: Request) -> Response:
    """Give a token for a client's id and secret; raises RateLimited."""
    state = state_of(request)
    await state.attempts.count(request, "oauth", most=MOST_A_MINUTE)
    try:
        form = await _form(request)
        client_id, secret, basic = _credentials(request, form)
        if form.get("grant_type") is None:
            raise _No("invalid_request", "grant_type is missing")
        if form["grant_type"] != "client_credentials":
            raise _No("unsupported_grant_type", "the hub gives tokens for client_credentials")
        at = now()
        try:
            async with state.engine.begin() as db:
                client = await authenticate(db, client_id=client_id, secret=secret, now=at)
        except Unauthenticated as no:
            raise _No("invalid_client", no.message, status=401, basic=basic) from None
        scopes = _scopes(client, form.get("scope"))
    except _No as no:
        log.info("token_refused", error=no.error)
        return _refusal(no)
    who = Principal(
        role=client.role,
        subject=f"client:{client.client_id}",
        business=client.business,
        scopes=scopes,
        client=client.client_id,
        generation=client.generation,
    )
    answer = {
        "access_token": tokens.issue(state.keyring, who, now=at, ttl_seconds=TTL_SECONDS),
        "token_type": "Bearer",
        "expires_in": TTL_SECONDS,
        "scope": written(scopes),
    }
    log.info("token_given", client=client.client_id)
    return JSONResponse(answer, headers=_NEVER_KEPT)


async def metadata(request: Request) -> Response:
    """Say where tokens are given, and how."""
    base = state_of(request).settings.base_url
    return JSONResponse(
        {
            "issuer": base,
            "token_endpoint": f"{base}/oauth/token",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "response_types_supported": [],
            "scopes_supported": sorted(Scope),
        },
        headers={"cache-control": "public, max-age=3600"},
    )


async def _form(request: Request) -> dict[str, str]:
    """Return the parameters; a parameter without a value counts as left out (section 3.2)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM:
        raise _No("invalid_request", f"send the parameters as {_FORM}")
    body = await small_body(request, most=LARGEST_BODY)
    try:
        pairs = parse_qsl(body.decode(), max_num_fields=20, errors="strict")
    except ValueError:
        raise _No("invalid_request", "the body is no form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _No("invalid_request", "a parameter is there twice")
    return form


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str, bool]:
    """Return id and secret, and whether they came by the header; one way alone is allowed."""
    header = request.headers.get("authorization")
    if header is None:
        if "client_id" not in form or "client_secret" not in form:
            raise _No("invalid_client", "the client says who it is", status=401, basic=True)
        return form["client_id"], form["client_secret"], False
    if "client_secret" in form:
        raise _No("invalid_request", "send the secret in the header or in the body, not in both")
    scheme, _, coded = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        both = base64.b64decode(coded.strip(), validate=True).decode()
        client_id, colon, secret = both.partition(":")
        if not colon:
            raise ValueError("no colon")
    except (ValueError, binascii.Error):
        why = "the header is not `Basic` with an id and a secret"
        raise _No("invalid_client", why, status=401, basic=True) from None
    client_id, secret = unquote_plus(client_id), unquote_plus(secret)
    if form.get("client_id", client_id) != client_id:
        raise _No("invalid_request", "header and body name two clients")
    return client_id, secret, True


def _scopes(client: Client, asked: str | None) -> frozenset[Scope]:
    """Return what the token is to be good for: what was asked, or all that the client may have."""
    if asked is None:
        return client.scopes
    try:
        scopes = read_scopes(asked, role=client.role)
    except Malformed as no:
        raise _No("invalid_scope", no.message) from None
    if not scopes <= client.scopes:
        raise _No("invalid_scope", f"the client has the scopes {written(client.scopes)}")
    return scopes


def _refusal(no: _No) -> Response:
    headers = dict(_NEVER_KEPT)
    if no.basic:
        headers["www-authenticate"] = 'Basic realm="hub", charset="UTF-8"'
    why = no.why.replace('"', "'").replace("\\", "/")
    body = {"error": no.error, "error_description": why.encode("ascii", "replace").decode()}
    return JSONResponse(body, no.status, headers=headers)
