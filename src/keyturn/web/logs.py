"""Log lines: text for a person at a terminal, one JSON object a line for everything else.

Every value is escaped by its renderer, so nobody can write a line of their own into the log (HT-07).
Successful requests are not logged: the audit trail and the metrics have each of them.
"""

import logging
import sys
from contextvars import ContextVar

import structlog

TRACE_ID: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""The trace of the request that is being answered, in each line about it; None where nobody traces."""


def configure_logging(log_format: str, level: str, worker: int | None = None) -> None:
    """Send structlog and the standard library's loggers through one renderer to standard error.

    Args:
        log_format: ``text``, ``json``, or ``auto`` for text on a terminal.
        level: The least level that is written.
        worker: Its number, in each line of a worker that is one of several.
    """

    def number(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return event if worker is None else {**event, "worker": worker}

    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),  # fields of the standard library's loggers are fields here too
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            number,
            _trace,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _trace(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    trace_id = TRACE_ID.get()
    return event if trace_id is None else {**event, "trace_id": trace_id}
