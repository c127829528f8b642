"""A span for each request with what it was and how it went, and for each step of it that takes time.

    oauth2.token ── check credential · sign · commit

Nothing that a caller sends is in a span but its trace's id: routes, grants and reasons are words of our
tables (HT-07). A ``traceparent`` (W3C Trace Context) is followed, also in whether it is sampled; a
``tracestate``, which is anybody's text, is not.
"""

import asyncio
import threading
from asyncio import Future
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, format_trace_id, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from keyturn import __version__
from keyturn.core.changes import Outcome, Unit
from keyturn.core.clock import Clock
from keyturn.core.histogram import CheckTimes, Histogram
from keyturn.core.ports import Recorder, Signer
from keyturn.core.vocabulary import RequestId
from keyturn.exchange.services import Services
from keyturn.exchange.signing import Signing
from keyturn.tokens.encode import Claims
from keyturn.web.desk import Desk
from keyturn.web.doors import Door
from keyturn.web.logs import TRACE_ID
from keyturn.web.metrics import NO_GRANT, OK
from keyturn.wire.compile import CompiledRoute
from keyturn.wire.http import WireResponse

FLUSH_SECONDS = 3.0
"""How long a server that stops tries to send its last spans."""
_TRACEPARENT_BYTES = 256
"""The version there is has 55; a later one may have more."""
_BROKEN = 500
_NANOSECONDS = 1_000_000_000


class Tracing:
    """Makes the spans of one process.

    Args:
        processor: Takes them when they have ended.
        environ: ``OTEL_*``: the sampler, the name of the service and all that the SDK reads itself.
        clock: Dates those that are told afterwards.
    """

    def __init__(self, processor: SpanProcessor, environ: Mapping[str, str], clock: Clock) -> None:
        """Make none yet."""
        named = "OTEL_SERVICE_NAME" in environ or "service.name" in environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        name = {} if named else {"service.name": "keyturn"}
        resource = Resource.create({**name, "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self.tracer = self._provider.get_tracer("keyturn", __version__)
        self.clock = clock

    @classmethod
    def to_collector(cls, environ: Mapping[str, str], clock: Clock) -> "Tracing":
        """Send spans by OTLP over HTTP, from a thread and in batches, where ``OTEL_*`` says."""
        return cls(BatchSpanProcessor(OTLPSpanExporter()), environ, clock)

    def around(self, services: Services) -> Services:
        """Give services whose slow steps are seen."""
        return msgspec.structs.replace(
            services,
            recorder=self.recorder(services.recorder),
            signing=_Signing(self),
            check_times=_CheckTimes(self),
        )

    def recorder(self, recorder: Recorder) -> Recorder:
        """Give a recorder whose commits are seen."""
        return _Recorder(self, recorder)

    def desk(self, *parts: Any) -> Desk:
        """Make the front desk, whose requests are seen."""
        return _Desk(self, *parts)

    async def stop(self) -> None:
        """Send what was not sent yet, as far as there is time: a collector that is away keeps nobody."""
        stopping = threading.Thread(target=self._provider.shutdown, name="keyturn-traces", daemon=True)
        stopping.start()
        await asyncio.to_thread(stopping.join, FLUSH_SECONDS)


class _Desk(Desk):
    def __init__(self, tracing: Tracing, *parts: Any) -> None:
        super().__init__(*parts)
        self._tracing = tracing
        self._parents = TraceContextTextMapPropagator()

    async def _serve(
        self, door: Door, route: CompiledRoute, request_id: RequestId, body: bytes, *, oversized: bool
    ) -> tuple[str, str, WireResponse]:
        span = self._tracing.tracer.start_span(
            f"{route.dialect}.{route.table.name}",
            self._parent(door),
            SpanKind.SERVER,
            {
                "http.route": route.table.path,
                "keyturn.dialect": route.dialect,
                "keyturn.route": route.table.name,
                "keyturn.request_id": request_id,
            },
        )
        known = TRACE_ID.set(format_trace_id(span.get_span_context().trace_id))
        with use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                grant, outcome, response = await super()._serve(
                    door, route, request_id, body, oversized=oversized
                )
                span.set_attribute("http.response.status_code", response.status)
                span.set_attribute("keyturn.outcome", "ok" if outcome == OK else "refused")
                if grant != NO_GRANT:
                    span.set_attribute("keyturn.grant", grant)
                if outcome != OK:
                    span.set_attribute("keyturn.reason", outcome)
                if response.status >= _BROKEN:
                    span.set_status(Status(StatusCode.ERROR))
                return grant, outcome, response
            finally:
                TRACE_ID.reset(known)
                span.end()

    def _parent(self, door: Door) -> Context:
        """Give whose part this request is, as its caller says; of several that say so nobody's."""
        said = [value for name, value in door.headers if name == b"traceparent"]
        # The library would write a line into the log for each that is longer than it likes.
        one = len(said) == 1 and len(said[0]) <= _TRACEPARENT_BYTES
        carrier = {"traceparent": said[0].decode("latin-1")} if one else {}
        return self._parents.extract(carrier, Context())


class _Recorder:
    def __init__(self, tracing: Tracing, recorder: Recorder) -> None:
        self._tracing = tracing
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recorder, name)

    async def record(self, unit: Unit) -> Outcome:
        span = self._tracing.tracer.start_span("commit")
        try:
            return await self._recorder.record(unit)
        finally:
            span.end()


class _Signing(Signing):
    def __init__(self, tracing: Tracing) -> None:
        super().__init__()
        self._tracing = tracing

    def token(self, claims: Claims, signer: Signer, header_type: str) -> Future[str]:
        span = self._tracing.tracer.start_span("sign")
        signed = super().token(claims, signer, header_type)
        signed.add_done_callback(lambda _: span.end())
        return signed

    async def token_elsewhere(self, claims: Claims, signer: Signer, header_type: str) -> Future[str]:
        if signer.elsewhere is None:
            return self.token(claims, signer, header_type)
        span = self._tracing.tracer.start_span("sign", attributes={"keyturn.elsewhere": True})
        try:
            return await super().token_elsewhere(claims, signer, header_type)
        finally:
            span.end()


class _CheckTimes(CheckTimes):
    def __init__(self, tracing: Tracing) -> None:
        super().__init__()
        self._tracing = tracing
        self.fast = partial(self._add, self.of_fast, "fast")
        self.slow = partial(self._add, self.of_slow, "slow")

    def _add(self, histogram: Histogram, kind: str, seconds: float) -> None:
        histogram.add(seconds)
        self._tell(kind, seconds)

    def _tell(self, kind: str, seconds: float) -> None:
        """Tell of a check that has ended."""
        now = int(self._tracing.clock.now().timestamp() * _NANOSECONDS)
        began = now - int(seconds * _NANOSECONDS)
        span = self._tracing.tracer.start_span(
            "check credential", attributes={"keyturn.hash": kind}, start_time=began
        )
        span.end(now)
