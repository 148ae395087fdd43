"""What a caller is told when something goes wrong, and what only the log is told."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import structlog
from graphql import ExecutionResult, GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.types.execution import ExecutionResult as StrawberryResult

from hub.errors import HubError

log = structlog.get_logger(__name__)


class TellErrors(SchemaExtension):
    """Give errors the hub raises on purpose their code; hide all others behind a reference.

    The reference is in the answer and in the log, next to the traceback.
    """

    def on_operation(self) -> Iterator[None]:
        """Rewrite the errors once the operation has ended."""
        yield
        result = self.execution_context.result
        if isinstance(result, ExecutionResult | StrawberryResult) and result.errors:
            result.errors = [told(error) for error in result.errors]


def told(error: GraphQLError) -> GraphQLError:
    """Return the error as the caller may read it. `extensions.code` is stable."""
    cause = _cause(error)
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
