"""Spans: one for each request, its steps below it, and nothing in them that a caller sent."""

import asyncio
import sys

import pytest

pytest.importorskip("opentelemetry.sdk", reason="comes with keyturn[otlp]")

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from structlog.testing import capture_logs

from harness import PUBLIC_URL, basic, deployment
from keyturn.app import assemble
from keyturn.core.clock import SystemClock
from keyturn.core.errors import Fault
from keyturn.core.limits import Rate
from keyturn.storage.limits import MemoryLimits
from keyturn.web.logs import TRACE_ID
from keyturn.web.traces import is_wanted, objection, start_tracing
from keyturn.web.tracing import Tracing

PATH = "/o/acme/oauth2/token"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def exporter():
    """Keeps the spans."""
    return InMemorySpanExporter()


@pytest.fixture
async def here(exporter):
    """Open a deployment whose desk makes spans."""
    async with deployment() as opened:
        limits = MemoryLimits(dict.fromkeys(("client", "user", "address", "organisation"), Rate(999, 999)))
        tracing = Tracing(SimpleSpanProcessor(exporter), {}, opened.clock)
        opened.desk, opened.metrics = assemble(
            opened.local, limits, PUBLIC_URL, refusals=opened.refusals, tracing=tracing
        )
        yield opened


async def token(here, secret=None, headers=(), body=b"grant_type=client_credentials"):
    """Ask for a token."""
    members = here.members["acme"]["oauth2"]
    who = ("Authorization", basic(members["client_id"], secret or members["client_secret"]))
    answer = await here.ask("POST", PATH, headers=[FORM, who, *headers], body=body)
    await asyncio.sleep(0)  # what a signature ends, ends in the next turn of the loop
    return answer


def requests(exporter):
    """The spans of whole requests."""
    return [span for span in exporter.get_finished_spans() if span.name.startswith("oauth2.")]


async def test_a_token(here, exporter):
    """A token's span has route, grant and outcome, and below it the check, the signature, the commit."""
    answer = await token(here)
    (span,) = requests(exporter)
    assert dict(span.attributes) == {
        "http.route": "/o/{organisation}/oauth2/token",
        "http.response.status_code": 200,
        "keyturn.dialect": "oauth2",
        "keyturn.route": "token",
        "keyturn.grant": "client_credentials",
        "keyturn.outcome": "ok",
        "keyturn.request_id": answer.header("x-request-id"),
    }
    below = [each for each in exporter.get_finished_spans() if each is not span]
    assert {each.name for each in below} == {"check credential", "sign", "commit"}
    assert {each.parent.span_id for each in below} == {span.context.span_id}
    assert span.resource.attributes["service.name"] == "keyturn"


async def test_a_refusal(here, exporter):
    """A refusal's span has the private reason, and is no error; a fault's is one."""
    await token(here, secret="wrong")
    here.store.recorder.raises = Fault("broken")
    assert (await token(here)).status == 500
    refused, broken = requests(exporter)
    assert (refused.attributes["keyturn.outcome"], refused.attributes["keyturn.reason"]) == (
        "refused",
        "wrong_secret",
    )
    assert refused.status.status_code is StatusCode.UNSET
    assert (broken.attributes["keyturn.reason"], broken.status.status_code) == ("fault", StatusCode.ERROR)


async def test_the_callers_trace_is_followed(here, exporter):
    """A caller's traceparent is the parent where it is sampled; where it is not there is no span."""
    await token(here, headers=[("traceparent", f"00-{TRACE}-{PARENT}-01"), ("tracestate", "hush=hush")])
    (span,) = requests(exporter)
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert "hush" not in span.to_json()
    exporter.clear()
    await token(here, headers=[("traceparent", f"00-{TRACE}-{PARENT}-00")])
    assert exporter.get_finished_spans() == ()


async def test_a_long_traceparent_is_no_line_in_the_log(here, caplog):
    """HT-07: strangers do not fill the log by the library's warnings of what is too long."""
    await token(here, headers=[("traceparent", "00-" + "a" * 5000)])
    assert caplog.records == []


@pytest.mark.parametrize("said", ["hush", "00-0-0-01", "ff-" + "a" * 5000, f"00-{TRACE}-{PARENT}-01, x"])
async def test_an_odd_traceparent_is_nobodys(here, exporter, said):
    """What is no traceparent begins a trace of our own."""
    assert (await token(here, headers=[("traceparent", said)])).status == 200
    (span,) = requests(exporter)
    assert span.parent is None


async def test_no_secret_is_in_a_span(here, exporter):
    """HT-07: no span has a secret, a token, or anything else that a caller sent."""
    members = here.members["acme"]["oauth2"]
    granted = await token(here, headers=[("User-Agent", "hush-agent"), ("X-Hush", "hush-field")])
    await token(here, secret="hush-secret")
    await token(here, body=b"grant_type=hush-grant&scope=hush-scope&client_secret=hush-body")
    await here.ask("HUSHED", PATH)
    await here.ask("POST", "/o/hush-org/oauth2/token", headers=[FORM], body=b"client_id=hush-client")
    shown = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert len(requests(exporter)) == 5
    assert "hush" not in shown.lower()
    for needle in (members["client_secret"], members["client_id"], granted.json["access_token"]):
        assert needle not in shown


async def test_the_log_names_the_trace(here, exporter, monkeypatch):
    """While a request is answered its trace is the log's, and no longer."""
    seen = []

    async def record(unit):
        seen.append(TRACE_ID.get())
        raise Fault("broken")

    monkeypatch.setattr(here.store.recorder, "_port", type("Port", (), {"record": staticmethod(record)}))
    await token(here)
    assert f"{requests(exporter)[0].context.trace_id:032x}" == seen[0]
    assert TRACE_ID.get() is None


@pytest.mark.parametrize(
    ("environ", "wanted", "why"),
    [
        ({}, False, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True, None),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True, None),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, None),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, False, None),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, True, "OTEL_TRACES_EXPORTER is zipkin; there is otlp and none"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            True,
            "the protocol is grpc; there is http/protobuf",
        ),
    ],
)
def test_when_there_are_traces(environ, wanted, why):
    """OTEL_ variables say whether there are traces; what we do not do is said in a sentence."""
    assert is_wanted(environ) is wanted
    assert not wanted or objection(environ) == why


def test_without_the_extra(monkeypatch):
    """A server that shall trace and has not what it needs says what to install, and serves."""
    monkeypatch.delitem(sys.modules, "keyturn.web.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with capture_logs() as said:
        assert start_tracing({"OTEL_TRACES_EXPORTER": "otlp"}, SystemClock()) is None
    (line,) = said
    assert (line["event"], line["log_level"]) == ("no_traces", "warning")
    assert line["why"].endswith("install keyturn[otlp]")
