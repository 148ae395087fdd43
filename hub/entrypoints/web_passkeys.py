"""`POST /auth/passkey…`: what a member's authenticator is asked, and keys that it made."""

import base64

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graphql_schema.access import require
from hub.callers.add_passkey import add_passkey
from hub.callers.begin_passkey import begin_passkey
from hub.clock import now
from hub.crypto.tokens import Role, Scope, Unauthenticated
from hub.entrypoints.web_auth import TRIES_A_MINUTE, body, relying_party
from hub.entrypoints.web_state import State, state_of
from hub.errors import Malformed, Rejected
from hub.members.queries import current_members

_NEVER_KEPT = {"cache-control": "no-store"}


async def get(request: Request) -> Response:
    """Answer what `navigator.credentials.get` takes, to sign in. Raises RateLimited."""
    state = state_of(request)
    await state.attempts.count(request, "passkey", most=TRIES_A_MINUTE)
    async with state.engine.begin() as db:
        options = await begin_passkey(
            db, party=relying_party(state.settings), member_id=None, now=now()
        )
    return JSONResponse(options, headers=_NEVER_KEPT)


async def create(request: Request) -> Response:
    """Answer what `navigator.credentials.create` takes, for the signed-in member.

    Raises Unauthenticated, Forbidden, Rejected for too many passkeys.
    """
    state = state_of(request)
    member_id = await _member(request, state)
    async with state.engine.begin() as db:
        options = await begin_passkey(
            db, party=relying_party(state.settings), member_id=member_id, now=now()
        )
    return JSONResponse(options, headers=_NEVER_KEPT)


async def add(request: Request) -> Response:
    """Keep a key that the signed-in member's authenticator made: `passkey` and a `name` for it.

    Raises Unauthenticated, Forbidden, Malformed, Rejected for an answer that does not fit.
    """
    state = state_of(request)
    member_id = await _member(request, state)
    given = await body(request)
    credential, name = given.get("passkey"), given.get("name", "passkey")
    if not isinstance(credential, dict):
        raise Malformed("send what the authenticator answered", field="passkey")
    if not isinstance(name, str):
        raise Malformed("a name is a text", field="name")
    async with state.engine.begin() as db:
        kept = await add_passkey(
            db,
            party=relying_party(state.settings),
            member_id=member_id,
            credential=credential,
            name=name,
            now=now(),
        )
    if kept is None:
        raise Rejected("this does not answer what was asked, or too late: begin again")
    made = {"id": base64.urlsafe_b64encode(kept).decode().rstrip("="), "name": name}
    return JSONResponse(made, 201, headers=_NEVER_KEPT)


async def _member(request: Request, state: State) -> int:
    """Return the member who is signed in, as it is now."""
    await state.attempts.count(request, "passkey", most=TRIES_A_MINUTE)
    caller = await state.callers.of(request)
    own = require(caller, Role.MEMBER, scope=Scope.MEMBERS_WRITE).member_id or 0
    async with state.engine.connect() as db:
        member_id = (await current_members(db, member_ids=[own])).get(own)
    if member_id is None:
        raise Unauthenticated("there is no such member any more", reason="ended")
    return member_id
