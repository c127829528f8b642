"""Whether traces are wanted, and by whom; what makes them is loaded only then.

OpenTelemetry's own variables say so (``OTEL_*``), and the extra ``keyturn[otlp]`` brings what makes spans. A
server that cannot trace says why in its log, once, and serves without.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from keyturn.core.clock import Clock

if TYPE_CHECKING:  # of the extra
    from keyturn.web.tracing import Tracing

log = structlog.get_logger("keyturn")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXPORTER = "OTEL_TRACES_EXPORTER"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Tell whether somebody asked for traces, and nobody switched them off."""
    exporter = environ.get(_EXPORTER, "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    return bool(exporter) or any(environ.get(name) for name in _ENDPOINTS)


def objection(environ: Mapping[str, str]) -> str | None:
    """Say what is asked for that we do not do; None where there is nothing."""
    exporter = environ.get(_EXPORTER, "").strip().lower()
    if exporter not in ("", "otlp"):
        return f"{_EXPORTER} is {exporter}; there is otlp and none"
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _PROTOCOL)
    if protocol != _PROTOCOL:
        return f"the protocol is {protocol}; there is {_PROTOCOL}"
    return None


def start_tracing(environ: Mapping[str, str], clock: Clock) -> "Tracing | None":
    """Begin to make spans, where that is wanted and possible."""
    if not is_wanted(environ):
        return None
    why = objection(environ)
    if why is None:
        try:
            from keyturn.web.tracing import Tracing
        except ImportError as error:
            why = f"OTEL_ variables ask for them, and {error.name} is not installed: install keyturn[otlp]"
        else:
            return Tracing.to_collector(environ, clock)
    log.warning("no_traces", why=why)
    return None
