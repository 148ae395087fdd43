"""What a caller is told when something goes wrong, and what only the log is told."""

from typing import Any
from uuid import uuid4

import structlog
from graphql import GraphQLError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from hub.errors import HubError, Unavailable

AWAY = (OSError, InterfaceError, OperationalError, PoolExhausted)
"""What is raised when the database cannot be reached, or not in time."""

log = structlog.get_logger(__name__)


def told(error: GraphQLError) -> GraphQLError:
    """Return the error as the caller may read it; `extensions.code` is stable.

    What the hub raises on purpose and what is wrong with the request are told. All else is hidden
    behind a reference, which is in the log too, next to the traceback.
    """
    cause = _cause(error)
    if isinstance(cause, AWAY):
        log.warning("database_away", error=type(cause).__name__)
        cause = Unavailable("the hub cannot reach its database: try again")
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
