"""Spans of a running server, as a collector gets them by OTLP over HTTP."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("opentelemetry.sdk", reason="comes with keyturn[otlp]")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from e2e.servers import FORM, Caller

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def collector():
    """A collector on loopback, and what came to it: path and body."""
    came = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            zipped = self.headers.get("Content-Encoding") == "gzip"
            came.append((self.path, gzip.decompress(body) if zipped else body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", came
    server.shutdown()
    server.server_close()
    thread.join()


def test_spans_arrive(tmp_path, collector, new_demo):
    """HT-07: a server that stops has sent its spans, in the caller's trace, without a secret."""
    address, came = collector
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_SERVICE_NAME": "tokens"}
    with new_demo(tmp_path, environ=environ) as node:
        client = node.client("oauth2")
        with Caller(node.url) as caller:
            fields = {"Content-Type": FORM, "traceparent": TRACEPARENT}
            assert caller.ask("POST", client.path, client.form(), fields).status == 200
        assert node.stop() == 0
        log = node.log.read_text()
    assert {path for path, _ in came} == {"/v1/traces"}
    found = [ExportTraceServiceRequest.FromString(body) for _, body in came]
    resources = [each for one in found for each in one.resource_spans]
    spans = [span for each in resources for scope in each.scope_spans for span in scope.spans]
    (token,) = (span for span in spans if span.name == "oauth2.token")
    assert token.trace_id.hex() == TRACEPARENT.split("-")[1]
    names = {span.name for span in spans if span.parent_span_id == token.span_id}
    assert names == {"check credential", "sign", "commit"}
    told = {each.key: each.value.string_value for each in resources[0].resource.attributes}
    assert told["service.name"] == "tokens"
    assert all(client.client_secret.encode() not in body for _, body in came)
    assert "Traceback" not in log
