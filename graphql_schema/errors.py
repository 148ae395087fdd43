"""What a caller is told when something goes wrong, and what only the log is told."""

from typing import Any
from uuid import uuid4

import asyncpg
import structlog
from graphql import GraphQLError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from hub.errors import HubError, Malformed, Unavailable

AWAY = (OSError, asyncpg.InterfaceError, InterfaceError, OperationalError, PoolExhausted)
"""What is raised when the database cannot be reached, or not in time."""
# SQLSTATE classes of a server that starts, stops, has no connection left or lost one (PostgreSQL,
# appendix A); the driver gives some of them no class of their own.
_AWAY_STATES = ("08", "53", "57P")

log = structlog.get_logger(__name__)


class TooSlow(HubError):
    """An operation took longer than it may."""

    code = "too_slow"


def too_slow(seconds: float) -> GraphQLError:
    """Return what is said of an operation that took longer than `seconds`."""
    why = TooSlow(f"this took longer than {seconds:g} s: ask for less")
    return GraphQLError(why.message, original_error=why, extensions={"code": why.code})


def is_away(error: BaseException) -> bool:
    """Return whether an error means that the database cannot be reached, or not in time."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    return isinstance(error, AWAY) or state.startswith(_AWAY_STATES)


def told(error: GraphQLError) -> GraphQLError:
    """Return the error as the caller may read it; `extensions.code` is stable.

    What the hub raises on purpose and what is wrong with the request are told. All else is hidden
    behind a reference, which is in the log too, next to the traceback.
    """
    cause = _cause(error)
    if cause is not None and is_away(cause):
        log.warning("database_away", error=type(cause).__name__)
        cause = Unavailable("the hub cannot reach its database: try again")
    if _changed_meanwhile(cause):
        cause = Unavailable("the member was merged or split at this moment: ask again")
    if _has_nul(cause):
        field = str(error.path[-1]) if error.path else "query"
        cause = Malformed("text with a NUL character is stored nowhere: leave it out", field=field)
    if isinstance(cause, CannotGetOperationTypeError):
        cause = Malformed(cause.as_http_error_reason(), field="operationName")
    if isinstance(cause, InvalidOperationTypeError):
        cause = Malformed("subscribe by a socket, and ask all else by POST", field="query")
    if isinstance(cause, HubError):
        facts = {name: value for name, value in cause.facts.items() if isinstance(value, str | int)}
        return _reworded(error, cause.message, {"code": cause.code, **facts})
    if cause is None:
        return _reworded(error, error.message, {"code": "bad_request"})
    reference = uuid4().hex
    # The chain is passed explicitly: this runs after the failure, outside any except block.
    log.error("graphql_failed", reference=reference, path=error.path, exc_info=cause)
    message = f"something went wrong here; say {reference} when you report it"
    return _reworded(error, message, {"code": "internal", "reference": reference})


def _changed_meanwhile(cause: Exception | None) -> bool:
    """Return whether what was asked about is another member's since the request began."""
    return _state(cause) == "40001"


def _has_nul(cause: Exception | None) -> bool:
    """Return whether text that was sent has a character that the database takes nowhere."""
    return _state(cause) == "22021"


def _state(cause: Exception | None) -> str | None:
    return getattr(cause.orig, "sqlstate", None) if isinstance(cause, DBAPIError) else None


def _cause(error: GraphQLError) -> Exception | None:
    """Return the exception behind `error`, or None when the request itself is at fault."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _reworded(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
