"""`/graphql` over HTTP: one operation per POST, as JSON; an explorer for browsers that open it."""

import asyncio
import hashlib
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import structlog
from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from graphql_schema.context import Context
from graphql_schema.errors import too_slow
from graphql_schema.rejections import DENIED
from hub.clock import now
from hub.crypto.tokens import Principal
from hub.entrypoints.web_denials import keep_denials
from hub.entrypoints.web_errors import answer_to
from hub.entrypoints.web_headers import header
from hub.entrypoints.web_meters import meters
from hub.entrypoints.web_slow import Statements, note
from hub.entrypoints.web_state import State, state_of
from hub.entrypoints.web_straight import read_whole, send_json
from hub.errors import Malformed, RateLimited
from hub.jobs.changes import mention

OPERATIONS = Counter(
    "hub_graphql_operations_total", "GraphQL operations, by outcome", ["operation", "outcome"]
)
DEPRECATED = Counter(
    "hub_graphql_deprecated_total",
    "Operations that ask for what is to go, by whom",
    ["asked", "operation", "caller"],
)
SECONDS = Histogram("hub_graphql_operation_seconds", "Time of an operation", ["operation"])
GRAPHIQL = Path(__file__).parent / "static" / "graphiql"
# The explorer's libraries style elements one by one; scripts come from this server alone.
_PAGE_MAY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

log = structlog.get_logger(__name__)


class Asked(NamedTuple):
    """A GraphQL request."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


class Operations:
    """Answers the operations that are posted; as an ASGI application: most requests are that.

    Refused are a bad token (none is allowed: the schema decides), what is no GraphQL request, and
    a document that is not known.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one operation."""
        state: State = scope["app"].state.hub
        try:
            asked = await _read(state, scope, receive)
            body, status, headers = _written(await _answer(state, scope, asked))
        except Exception as error:
            answer = await answer_to(Request(scope), error)
            await answer(scope, receive, send)
            return
        await send_json(scope, send, body, status=status, headers=headers)


async def get(request: Request) -> Response:
    """Answer a query that is known beforehand, `304` to who has the answer; else the explorer.

    Nothing is ever changed by a GET, and no document can be sent by one. Raises Unauthenticated,
    Malformed, Forbidden and NotFound.
    """
    if "documentId" not in request.query_params:
        # The explorer's own links hold the query: a browser is shown it, not its answer.
        if "query" in request.query_params and "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(405, "POST operations as JSON", headers={"allow": "POST"})
        return await explorer(request)
    state = state_of(request)
    asked = _called(request)
    if not state.documents.changes_nothing(asked.query):
        raise HTTPException(405, "what changes something is POSTed", headers={"allow": "POST"})
    body, status, headers = _written(await _answer(state, request.scope, asked))
    if status == 200:
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"etag": etag, "cache-control": "private, no-cache", "vary": "authorization"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
    return Response(body, status, headers, "application/json")


async def _answer(state: State, scope: Scope, asked: Asked) -> ExecutionResult:
    at = now()
    principal = await state.callers.by(header(scope, b"authorization"))
    caller = principal.subject if principal else f"at {scope['client'] and scope['client'][0]}"
    context = Context(
        state.engine,
        readers=state.readers,
        keyring=state.keyring,
        principal=principal,
        now=at,
        charge=partial(state.allowance.spend, caller),
        mention=partial(mention, state.redis),
        noted=note,
        turns=state.turns,
    )
    began, name = time.perf_counter(), state.documents.name(asked.query)
    answered: list[str] = []
    DENIED.set(answered)
    with Statements() as statements, state.traces.operation(scope) as span:
        result = await _execute(state, asked, context)
        if span is not None:
            state.traces.tell(
                span,
                query=asked.query,
                operation_name=asked.operation_name,
                known_as=name,
                role=principal.role.value if principal else "nobody",
                cost=context.cost,
                failed=bool(result.errors),
                asked=statements,
            )
    seconds = time.perf_counter() - began
    if result.errors or answered or context.hidden:
        await keep_denials(
            state.engine,
            principal,
            operation=name,
            errors=result.errors,
            answered=answered,
            hidden=context.hidden,
            at=at,
        )
    kind = (name, "failed" if result.errors else "answered")
    count, observe = meters(OPERATIONS, kind, SECONDS, name)
    count()
    observe(seconds)
    if result.data is not None:
        for old in state.schema.documents.deprecated_in(asked.query):
            DEPRECATED.labels(old, name, _kind_of(principal)).inc()
    if seconds * 1000 >= state.settings.slow_milliseconds:
        log.warning(
            "slow_operation",
            operation=name,
            milliseconds=round(seconds * 1000, 1),
            cost=context.cost,
            statements=len(statements.statements),
            slowest=statements.slowest(),
        )
    return result


def _kind_of(principal: Principal | None) -> str:
    """Return who asks as metrics may tell it: which business, or in which role."""
    if principal is None:
        return "nobody"
    return principal.business or principal.role.value


async def _execute(state: State, asked: Asked, context: Context) -> ExecutionResult:
    """Execute within the time that an operation may take; raises Malformed for a wrong name."""
    try:
        async with asyncio.timeout(state.settings.operation_seconds), context:
            return await state.schema.execute(
                asked.query,
                variable_values=asked.variables,
                context_value=context,
                operation_name=asked.operation_name,
                allowed_operation_types=(OperationType.QUERY, OperationType.MUTATION),
            )
    except TimeoutError:
        return ExecutionResult(data=None, errors=[too_slow(state.settings.operation_seconds)])
    except CannotGetOperationTypeError as error:
        which = error.operation_name
        what = "of several operations say one" if which is None else f"there is no {which!r}"
        raise Malformed(f"{what}: each has a name", field="operationName") from error
    except InvalidOperationTypeError as error:
        raise Malformed("subscribe by a socket: see docs/graphql.md", field="query") from error


def _written(result: ExecutionResult) -> tuple[bytes, int, dict[str, str]]:
    """Return the body, status and headers of an answer."""
    answer: dict[str, Any] = {"data": result.data}
    status, headers = 200, dict[str, str]()
    if result.errors:
        answer["errors"] = [error.formatted for error in result.errors]
        facts = result.errors[0].extensions or {}
        if facts.get("code") == RateLimited.code:
            status, headers = 429, {"retry-after": str(facts.get("seconds", 1))}
    return orjson.dumps(answer), status, headers


async def explorer(request: Request) -> Response:
    """Show GraphiQL, served from here in full; raises 404 where it is switched off."""
    if not state_of(request).settings.graphiql:
        raise HTTPException(404, "the explorer is switched off here: POST operations as JSON")
    return FileResponse(
        GRAPHIQL / "index.html",
        headers={"content-security-policy": _PAGE_MAY, "cache-control": "no-cache"},
    )


async def _read(state: State, scope: Scope, receive: Receive) -> Asked:
    sent_as = header(scope, b"content-type") or ""
    media_type = sent_as.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "send GraphQL as application/json")
    try:
        body = orjson.loads(await read_whole(receive))
    except orjson.JSONDecodeError:
        raise Malformed("the body is not JSON", field="body") from None
    if not isinstance(body, dict):
        raise Malformed("the body must be one JSON object", field="body")
    return _asked(state, body)


def _called(request: Request) -> Asked:
    """Return what a GET asks for; raises Malformed."""
    given: dict[str, Any] = dict(request.query_params)
    try:
        given["variables"] = orjson.loads(given.get("variables") or "null")
    except orjson.JSONDecodeError:
        raise Malformed("`variables` is not JSON", field="variables") from None
    return _asked(state_of(request), given)


def _asked(state: State, given: dict[str, Any]) -> Asked:
    documents = state.documents
    query, variables = given.get("query"), given.get("variables")
    name, document_id = given.get("operationName"), given.get("documentId")
    if document_id is not None:
        if query is not None or not isinstance(document_id, str):
            raise Malformed("give `query` or `documentId`, as a text", field="documentId")
        query = documents.text(document_id)
    if not isinstance(query, str) or not query.strip():
        raise Malformed("`query` must hold a GraphQL document", field="query")
    documents.refuse_unknown(query)
    if variables is not None and not isinstance(variables, dict):
        raise Malformed("`variables` must be an object", field="variables")
    if name is not None and not isinstance(name, str):
        raise Malformed("`operationName` must be a text", field="operationName")
    return Asked(query, variables, name)
