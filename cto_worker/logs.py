"""Logging: every line of this process, ours and the libraries', in one format on standard error."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from cto_worker.config import Settings

# They tell each packet, or each task with all that went in and came out; the runner tells a task in one line.
QUIET = (
    # By their full names: one that has no level of its own when it is first used gets a handler of its own,
    # and would write every line a second time, in no format.
    "engineio.server",
    "engineio.client",
    "socketio.server",
    "socketio.client",
    "celery.app.trace",
    "celery.worker.strategy",
)


def configure(settings: Settings, level: int = logging.INFO) -> None:
    """Set up the root logger; ``CTO_LOG_FORMAT`` picks ``console`` or ``json`` lines.

    What is bound with ``structlog.contextvars`` (a worker binds ``job_id`` and ``attempt``) is on every line.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # The values of a frame's variables stay out of the log: orders and tokens are among them.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    last: list[Any] = (
        [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
