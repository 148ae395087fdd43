"""`POST /auth/…`: members sign in, go on and sign out. JSON in, JSON out.

Every answer is the same for who is a member and who is not. Where tokens are given, a refusal is
`invalid_grant`, as RFC 6749 calls it, and does not say why; `invalid_request` says what is wrong
with the request.
"""

from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.callers.begin_session import ACCESS_SECONDS, Signed
from hub.callers.passkeys import RelyingParty
from hub.callers.refresh_session import refresh_session
from hub.callers.request_code import request_code
from hub.callers.send_code_again import send_code_again
from hub.callers.sign_in import sign_in
from hub.callers.sign_in_by_passkey import sign_in_by_passkey
from hub.callers.sign_out import sign_out
from hub.clock import now
from hub.config import Settings
from hub.crypto import tokens
from hub.crypto.scopes import OF_ROLE, Role, written
from hub.entrypoints.web_attempts import place_of
from hub.entrypoints.web_limits import small_body
from hub.entrypoints.web_state import State, state_of
from hub.errors import Malformed
from hub.members.identifiers import Kind

LARGEST_BODY = 32_768
CODES_AN_HOUR = 30
TRIES_A_MINUTE = 60
_NEVER_KEPT = {"cache-control": "no-store", "pragma": "no-cache"}

log = structlog.get_logger(__name__)


async def code(request: Request) -> Response:
    """Have a code sent to `phone` or `email`; answers the `challenge` that it is confirmed by.

    With the `challenge` of one that did not arrive it is sent again. Raises Malformed, RateLimited
    by address, device and what was given, and Rejected for a code that is not sent again.
    """
    state = state_of(request)
    await state.attempts.count(request, "code", most=CODES_AN_HOUR, minutes=60)
    given = await body(request)
    at = now()
    async with state.engine.begin() as db:
        if "challenge" in given:
            asked = await send_code_again(db, challenge=_text(given, "challenge"), now=at)
        else:
            kind, value = _identifier(given)
            asked = await request_code(
                db,
                kind=kind,
                value=value,
                place=place_of(request),
                device_token=_text(given, "device_token") if "device_token" in given else None,
                now=at,
                keyring=state.keyring,
            )
    seconds = int((asked.expires_at - at).total_seconds())
    answer = {"challenge": asked.challenge, "expires_in": seconds}
    return JSONResponse(answer, 202, headers=_NEVER_KEPT)


async def token(request: Request) -> Response:
    """Give tokens for a code with its challenge, for a passkey's answer, or for a refresh token.

    Raises RateLimited by address.
    """
    state = state_of(request)
    await state.attempts.count(request, "token", most=TRIES_A_MINUTE)
    try:
        given = await body(request)
        async with state.engine.begin() as db:
            signed = await _signed(db, state, given)
    except Malformed as wrong:
        return _refusal("invalid_request", wrong.message)
    if signed is None:
        log.info("sign_in_refused")
        return _refusal("invalid_grant", "this is wrong, or worth nothing any more: sign in anew")
    return JSONResponse(told(state, signed), headers=_NEVER_KEPT)


async def logout(request: Request) -> Response:
    """End the session of a refresh token; there may be none any more. Raises Malformed."""
    state = state_of(request)
    await state.attempts.count(request, "token", most=TRIES_A_MINUTE)
    given = await body(request)
    async with state.engine.begin() as db:
        await sign_out(db, refresh_token=_text(given, "refresh_token"), now=now())
    return Response(status_code=204)


def _refusal(error: str, why: str) -> JSONResponse:
    """Return what RFC 6749 section 5.2 calls an error response; `why` is ASCII there."""
    said = {"error": error, "error_description": why.encode("ascii", "replace").decode()}
    return JSONResponse(said, 400, headers=_NEVER_KEPT)


async def _signed(db: AsyncConnection, state: State, given: dict[str, Any]) -> Signed | None:
    at, keyring = now(), state.keyring
    if "refresh_token" in given:
        presented = _text(given, "refresh_token")
        return await refresh_session(db, refresh_token=presented, now=at, keyring=keyring)
    if "passkey" in given:
        credential = given["passkey"]
        if not isinstance(credential, dict):
            raise Malformed("send what the authenticator answered", field="passkey")
        party = relying_party(state.settings)
        return await sign_in_by_passkey(db, party=party, credential=credential, now=at)
    return await sign_in(
        db,
        challenge=_text(given, "challenge"),
        code=_text(given, "code"),
        now=at,
        keyring=keyring,
    )


def relying_party(settings: Settings) -> RelyingParty:
    """Return for whom passkeys are: as configured, else the hub's own address."""
    own = settings.base_url
    origins = settings.passkey_origins.split() or [own]
    return RelyingParty(settings.passkey_rp_id or urlsplit(own).hostname or "", tuple(origins))


def told(state: State, signed: Signed) -> dict[str, Any]:
    """Return the tokens of a session as they are answered."""
    at = now()
    access = tokens.issue(state.keyring, signed.principal, now=at, ttl_seconds=ACCESS_SECONDS)
    known = {} if signed.device_token is None else {"device_token": signed.device_token}
    return {
        **known,
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
        "scope": written(OF_ROLE[Role.MEMBER]),
        "refresh_token": signed.refresh_token,
        "refresh_expires_in": int((signed.refresh_until - at).total_seconds()),
    }


async def body(request: Request) -> dict[str, Any]:
    """Return the JSON object that is sent; raises Malformed.

    No page elsewhere can send JSON without being asked about first, so none signs anybody in.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Malformed("send application/json", field="content-type")
    try:
        given = orjson.loads(await small_body(request, most=LARGEST_BODY))
    except orjson.JSONDecodeError:
        raise Malformed("the body is not JSON", field="body") from None
    if not isinstance(given, dict):
        raise Malformed("the body must be one JSON object", field="body")
    return given


def _identifier(given: dict[str, Any]) -> tuple[Kind, str]:
    kinds = [kind for kind in (Kind.PHONE, Kind.EMAIL) if kind.name.lower() in given]
    if len(kinds) != 1:
        raise Malformed("give a phone number or an email address", field="phone")
    return kinds[0], _text(given, kinds[0].name.lower())


def _text(given: dict[str, Any], name: str) -> str:
    said = given.get(name)
    if not isinstance(said, str) or not 1 <= len(said) <= 1000:
        raise Malformed(f"{name} must be a text", field=name)
    return said
