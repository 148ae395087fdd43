"""`/graphql` over HTTP: one operation per POST, as JSON; an explorer for browsers that open it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import Counter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from strawberry.schema.exceptions import CannotGetOperationTypeError

from graphql_schema.context import Context
from hub.clock import now
from hub.crypto import tokens
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal, Unauthenticated
from hub.entrypoints.web_state import state_of
from hub.errors import Malformed

OPERATIONS = Counter("hub_graphql_operations_total", "GraphQL operations, by outcome", ["outcome"])
GRAPHIQL = Path(__file__).parent / "static" / "graphiql"
# The explorer's libraries style elements one by one; scripts come from this server alone.
_PAGE_MAY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A GraphQL request."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


async def post(request: Request) -> Response:
    """Answer one operation. A GET can therefore never change anything.

    Raises Unauthenticated for a bad token (none is allowed: the schema decides), Malformed for
    what is no GraphQL request.
    """
    state, at = state_of(request), now()
    principal = principal_of(request, state.keyring, at=at)
    asked = await _read(request)
    context = Context(state.engine, keyring=state.keyring, principal=principal, now=at)
    async with context:
        try:
            result = await state.schema.execute(
                asked.query,
                variable_values=asked.variables,
                context_value=context,
                operation_name=asked.operation_name,
            )
        except CannotGetOperationTypeError as error:
            raise Malformed(error.as_http_error_reason(), field="operationName") from error
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = [error.formatted for error in result.errors]
    OPERATIONS.labels("failed" if result.errors else "answered").inc()
    return Response(orjson.dumps(answer), media_type="application/json")


async def explorer(request: Request) -> Response:
    """Show GraphiQL, served from here in full; raises 404 where it is switched off."""
    if not state_of(request).settings.graphiql:
        raise HTTPException(404, "the explorer is switched off here: POST operations as JSON")
    return FileResponse(
        GRAPHIQL / "index.html",
        headers={"content-security-policy": _PAGE_MAY, "cache-control": "no-cache"},
    )


def principal_of(request: Request, keyring: Keyring, *, at: datetime) -> Principal | None:
    """Return who calls, by the bearer token; None without one. Raises Unauthenticated."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("send a token as `Authorization: Bearer`", reason="malformed")
    return tokens.verify(keyring, token.strip(), now=at)


async def _read(request: Request) -> Asked:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "send GraphQL as application/json")
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise Malformed("the body is not JSON", field="body") from None
    if not isinstance(body, dict):
        raise Malformed("the body must be one JSON object", field="body")
    query, variables = body.get("query"), body.get("variables")
    name = body.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise Malformed("`query` must hold a GraphQL document", field="query")
    if variables is not None and not isinstance(variables, dict):
        raise Malformed("`variables` must be an object", field="variables")
    if name is not None and not isinstance(name, str):
        raise Malformed("`operationName` must be a text", field="operationName")
    return Asked(query, variables, name)
