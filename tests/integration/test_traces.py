"""Traces: an operation and its statements, within the caller's trace, and nothing personal."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.api_kit import STAFF, running_api

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
PHONE = "+8613910203040"


@pytest.fixture
def copied(grouped_template: str) -> str:
    """The group is there; the application is each test's own."""
    return grouped_template


@dataclass
class Collector:
    """A collector that keeps what it is sent."""

    url: str = ""
    sent: list[ExportTraceServiceRequest] = field(default_factory=list)


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.sent.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


async def test_an_operation_is_a_span_with_its_statements(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    query = """query Seek($p: String!) {
      memberSearch(by: { phone: $p }) { number } businesses { code } }"""
    async with running_api(database_url, redis_url, tmp_path) as api:
        await api.client.post(
            "/graphql",
            json={"query": query, "variables": {"p": PHONE}},
            headers={**api.token(STAFF), "traceparent": f"00-{CALLER}-00f067aa0ba902b7-01"},
        )
        await api.ask("mutation Oops { redeem }", STAFF)
    [batch] = collector.sent
    [resource] = batch.resource_spans
    named = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert named["service.name"] == "hub-api"
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    operations = {span.name: span for span in spans if span.kind == span.SPAN_KIND_SERVER}
    assert set(operations) == {"query", "mutation"}
    seek = operations["query"]
    assert seek.trace_id.hex() == CALLER
    told = {one.key: one.value for one in seek.attributes}
    assert told["graphql.operation.name"].string_value == "Seek"
    assert told["hub.caller.role"].string_value == "staff"
    assert told["hub.operation.cost"].int_value > 0
    statements = [span for span in spans if span.parent_span_id == seek.span_id]
    assert statements
    for span in statements:
        assert seek.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= seek.end_time_unix_nano
    assert operations["mutation"].status.code == seek.status.STATUS_CODE_ERROR
    assert PHONE.removeprefix("+") not in str(batch)


async def test_nothing_is_sent_where_nobody_collects(
    collector: Collector, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with running_api(database_url, redis_url, tmp_path) as api:
        await api.data("{ programme { name } }")
    assert collector.sent == []
