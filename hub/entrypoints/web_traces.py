"""Traces of operations (OpenTelemetry), for whoever collects them.

They are switched on by the variables that OpenTelemetry's own SDKs read: where
OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) names a collector, every operation is a span with
its statements as children; OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and the others hold as they do
elsewhere. Spans are named as OpenTelemetry's conventions for GraphQL say. They hold no document, no
variable and nothing that was bound to a statement: those may name people.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache

from graphql import GraphQLError, get_operation_ast, parse
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from starlette.datastructures import Headers
from starlette.types import Scope

from hub.clock import now
from hub.entrypoints.web_slow import Statements

SERVICE = "hub-api"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LONGEST_TEXT = 1000
_LONGEST_NAME = 100
_UNTOLD = nullcontext[Span | None]()


class Traces:
    """Spans of operations, sent in the background; nothing where nobody collects them."""

    def __init__(self, *, collected: bool | None = None) -> None:
        """`collected` as the environment says, unless said."""
        if collected is None:
            collected = any(os.environ.get(name) for name in _ENDPOINTS)
        self._provider = None
        if collected and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true":
            named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: SERVICE}
            self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            self._tracer = self._provider.get_tracer("hub")

    def operation(self, scope: Scope) -> AbstractContextManager[Span | None]:
        """Yield the span of an operation, within its caller's trace; None where nobody collects."""
        return _UNTOLD if self._provider is None else self._span(Headers(scope=scope))

    @contextmanager
    def _span(self, headers: Mapping[str, str]) -> Iterator[Span]:
        span = self._tracer.start_span(
            "GraphQL Operation", context=extract(headers), kind=SpanKind.SERVER
        )
        try:
            yield span
        except BaseException as failure:
            span.set_status(Status(StatusCode.ERROR, type(failure).__name__))
            raise
        finally:
            span.end()

    def tell(
        self,
        span: Span,
        *,
        query: str,
        operation_name: str | None,
        known_as: str,
        role: str,
        cost: int,
        failed: bool,
        asked: Statements,
    ) -> None:
        """Say what an operation was, and what it asked of the database."""
        kind, name = _operation(query, operation_name)
        # There are only as many names of spans as there are known documents.
        span.update_name(kind if known_as == "other" else f"{kind} {known_as}")
        span.set_attribute("graphql.operation.type", kind)
        if name:
            span.set_attribute("graphql.operation.name", name[:_LONGEST_NAME])
        span.set_attribute("hub.caller.role", role)
        span.set_attribute("hub.operation.cost", cost)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        inside = set_span_in_context(span)
        # What was noted counts from another clock than spans do.
        ahead = int(now().timestamp() * 1e9) - time.perf_counter_ns()
        for seconds, sql, began in asked.statements:
            started = int(began * 1e9) + ahead
            child = self._tracer.start_span(
                sql.split(None, 1)[0].upper() if sql.strip() else "SQL",
                context=inside,
                kind=SpanKind.CLIENT,
                start_time=started,
                attributes={
                    "db.system.name": "postgresql",
                    "db.query.text": " ".join(sql.split())[:_LONGEST_TEXT],
                },
            )
            child.end(end_time=started + int(seconds * 1e9))

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        if self._provider is not None:
            self._provider.force_flush(3_000)
            self._provider.shutdown()


@lru_cache(512)
def _operation(query: str, name: str | None) -> tuple[str, str | None]:
    """Return of which kind an operation is, and what it calls itself."""
    try:
        found = get_operation_ast(parse(query), name)
    except GraphQLError:
        found = None
    if found is None:
        return "query", None
    return found.operation.value, found.name.value if found.name else None
