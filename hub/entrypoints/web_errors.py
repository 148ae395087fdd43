"""Errors of the HTTP routes, as JSON. GraphQL operations have their own form, tills RFC 9457's."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import structlog
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from graphql_schema.errors import AWAY, is_away
from hub.connector import SignatureInvalid
from hub.crypto.tokens import Unauthenticated
from hub.entrypoints.web_denials import keep_refusal
from hub.errors import (
    Conflict,
    Forbidden,
    HubError,
    Malformed,
    NotFound,
    RateLimited,
    Rejected,
    Unavailable,
)

TILLS = "/tills/"

log = structlog.get_logger(__name__)

_STATUS: dict[type[HubError], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    SignatureInvalid: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Rejected: 422,
    RateLimited: 429,
    Unavailable: 503,
}
_CODES = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}


def error_response(status: int, code: str, message: str, **facts: object) -> JSONResponse:
    """Return an error as most routes word it; `code` is stable, `message` is for people."""
    return JSONResponse({"error": {"code": code, "message": message, **facts}}, status)


def error_at(path: str, status: int, code: str, message: str, **facts: object) -> JSONResponse:
    """Return an error as the route of `path` words it: tills are told in problem documents."""
    if not path.startswith(TILLS):
        return error_response(status, code, message, **facts)
    problem = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "detail": message,
        "code": code,
        "field": None,
        **facts,
    }
    return JSONResponse(problem, status, media_type="application/problem+json")


async def hub_error(request: Request, error: Exception) -> Response:
    """Answer what the hub says no to on purpose; a denial is on record."""
    if not isinstance(error, HubError):
        raise error
    await keep_refusal(request, error)
    status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 500)
    field = {"field": error.facts["field"]} if "field" in error.facts else {}
    answer = error_at(request.url.path, status, error.code, error.message, **field)
    if isinstance(error, Unauthenticated):
        # RFC 6750, section 3: what is wrong with the token, for the machine and for people.
        challenge = f'Bearer error="invalid_token", error_description="{error.message}"'
        answer.headers["www-authenticate"] = challenge
    if isinstance(error, SignatureInvalid):
        answer.headers["www-authenticate"] = "StandardWebhooks"
    if error.retryable:
        answer.headers["retry-after"] = str(error.facts.get("seconds", 5))
    return answer


async def http_error(request: Request, error: Exception) -> Response:
    """Answer what the router refuses."""
    if not isinstance(error, HTTPException):
        raise error
    code = _CODES.get(error.status_code, "http_error")
    answer = error_at(request.url.path, error.status_code, code, error.detail)
    answer.headers.update(error.headers or {})
    return answer


async def database_error(request: Request, error: Exception) -> Response:
    """Answer what the database said: that it is away, or what only a bug of ours makes it say."""
    return await (away if is_away(error) else unexpected_error)(request, error)


async def away(request: Request, error: Exception) -> Response:
    """Answer that a server the hub depends on cannot be reached."""
    log.warning("dependency_away", error=type(error).__name__)
    return await hub_error(request, Unavailable("a server that the hub needs is away: try again"))


async def hung_up(_: Request, error: Exception) -> Response:
    """End quietly when the caller went away while sending; nobody reads this answer."""
    if not isinstance(error, ClientDisconnect):
        raise error
    return Response(status_code=400)


async def unexpected_error(request: Request, error: Exception) -> Response:
    """Answer a bug: a reference for the caller, the traceback for the log."""
    reference = uuid4().hex
    log.error("request_failed", reference=reference, exc_info=error)
    message = f"something went wrong here; say {reference} when you report it"
    return error_at(request.url.path, 500, "internal", message, reference=reference)


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    HubError: hub_error,
    HTTPException: http_error,
    ClientDisconnect: hung_up,
    **dict.fromkeys(AWAY, away),
    DBAPIError: database_error,
}
"""What answers for which error; for the closest kind, if several do."""


async def answer_to(request: Request, error: Exception) -> Response:
    """Answer as a route's error is; raises the error if nothing here is for it."""
    for kind in type(error).__mro__:
        if kind in HANDLERS:
            return await HANDLERS[kind](request, error)
    raise error
