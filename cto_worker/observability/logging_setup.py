"""Logging: all lines of this process, from our code and from libraries, in one format on standard error.

With ``CTO_LOG_FORMAT=json`` every line is one object with ``timestamp``, ``level``, ``event`` and ``logger``.
That includes output that bypasses ``logging``: warnings, uncaught exceptions, and printed text.

Log lines contain values that clients send, and operators read them in a terminal. Control characters are
therefore escaped in both formats: a value can neither start a new line nor change the terminal's display.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import threading
from datetime import UTC, datetime
from traceback import TracebackException
from typing import IO, TYPE_CHECKING, Any, TextIO

import structlog

if TYPE_CHECKING:
    from cto_worker.config import Settings

# These loggers write each packet, or each task with its arguments and result. The runner logs a task itself.
QUIET = (
    # Full names, because engineio and socketio add a handler to a logger that has no level of its own at its
    # first use. Every line would then be written twice, the second time without our format.
    "engineio.server",
    "engineio.client",
    "socketio.server",
    "socketio.client",
    "celery.app.trace",
    "celery.worker.strategy",
    "alembic",  # reports each check of the schema
)

# C0, DEL and C1; line and paragraph separators; marks that change the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """Return ``text`` on one line, with control characters escaped as in Python's string literals."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def configure(settings: Settings, level: int = logging.INFO) -> None:
    """Configure the root logger. ``CTO_LOG_FORMAT`` selects ``console`` or ``json`` lines.

    Every line contains the values bound with ``structlog.contextvars``: a worker binds ``job_id``,
    ``attempt`` and, if the job is traced, ``trace_id``.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Local variables are not logged, because they contain orders and tokens.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    json_format = settings.log_format == "json"
    last: list[Any] = (
        [
            structlog.processors.ExceptionRenderer(tracebacks),
            structlog.processors.JSONRenderer(),
            lambda _, __, line: _escape_deletes(line),
        ]
        if json_format
        else [_on_one_line, structlog.dev.ConsoleRenderer(colors=False, exception_formatter=_write_traceback)]
    )
    formatter = structlog.stdlib.ProcessorFormatter if json_format else _ConsoleFormatter
    handler = logging.StreamHandler()
    handler.setFormatter(
        formatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _end_of_process
    threading.excepthook = _end_of_thread
    if json_format:
        sys.stdout = sys.stderr = _Printed(handler.stream)


def say(text: str) -> None:
    """Write a line from a signal handler.

    The handler may have interrupted a write, so the line goes directly to the file descriptor.
    """
    root = logging.getLogger()
    record = root.makeRecord(__name__, logging.INFO, __file__, 0, text, (), None)
    os.write(2, f"{root.handlers[0].format(record)}\n".encode())  # standard error, without Python's buffer


def json_line(text: str, **fields: str) -> str:
    """Return a line as one JSON object with ``fields`` added. ``text`` may be such an object already."""
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        line = {"event": text, "level": "info", "timestamp": datetime.now(UTC).isoformat()}
    return _escape_deletes(json.dumps(line | fields))


class _ConsoleFormatter(structlog.stdlib.ProcessorFormatter):
    """Escapes the control characters that are left in rendered lines."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(escape, super().format(record).split("\n")))


def _on_one_line(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Escape the message and all other values, except tracebacks, which have several lines."""
    return {
        name: value if name == "exc_info" else escape(value if isinstance(value, str) else repr(value))
        for name, value in event.items()
    }


def _write_traceback(stream: TextIO, exc_info: Any) -> None:
    """Write an indented traceback. The lines of exception texts and notes are escaped."""
    for part in TracebackException(*exc_info).format():
        text = part.strip("\n")
        # The part of a stack frame has a second line with its source code, which is trusted.
        lines = text.split("\n") if part.startswith("  File ") else [escape(text)]
        stream.writelines(f"\n  {line}" for line in lines)


def _escape_deletes(line: str) -> str:
    """Escape DEL, the only control character that ``json.dumps`` leaves unescaped."""
    return line.replace("\x7f", "\\u007f")


class _Printed(io.TextIOBase):
    """A standard stream that writes each line as a JSON object."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._partial = ""

    def write(self, text: str) -> int:
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            if line.strip():
                self._stream.write(json_line(line, logger="printed") + "\n")
                self._stream.flush()
        return len(text)

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False


def _end_of_process(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
    else:
        logging.getLogger(__name__).critical("the process ends", exc_info=(kind, error, traceback))


def _end_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread else "?"
        exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger(__name__).critical("the thread %s ends", name, exc_info=exc_info)
