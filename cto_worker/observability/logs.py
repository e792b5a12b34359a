"""Logging: every line of this process, ours and the libraries', in one format on standard error.

With ``CTO_LOG_FORMAT=json`` every line is one object with ``timestamp``, ``level``, ``event`` and ``logger``,
also what goes past logging: warnings, what ends a thread or the process, and what is merely printed.

Clients choose parts of what is logged, and an operator reads it in a terminal. So control characters are
escaped in both formats: a value can neither begin a line of its own nor change how the terminal shows others.
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

# C0, DEL and C1; separators of lines and paragraphs; marks that change the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """Return a text on one line, in which control characters are escaped as in Python's literals."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def configure(settings: Settings, level: int = logging.INFO) -> None:
    """Set up the root logger; ``CTO_LOG_FORMAT`` picks ``console`` or ``json`` lines.

    What is bound with ``structlog.contextvars`` (a worker binds ``job_id``, ``attempt`` and, when the job is
    traced, ``trace_id``) is on every line.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # The values of a frame's variables stay out of the log: orders and tokens are among them.
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
    """Write a line from a signal's handler, which may have interrupted whoever writes one."""
    root = logging.getLogger()
    record = root.makeRecord(__name__, logging.INFO, __file__, 0, text, (), None)
    os.write(2, f"{root.handlers[0].format(record)}\n".encode())  # standard error, past Python's buffers


def json_line(text: str, **more: str) -> str:
    """Return a line as one JSON object, which it may be already, with what ``more`` there is to say of it."""
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        line = {"event": text, "level": "info", "timestamp": datetime.now(UTC).isoformat()}
    return _escape_deletes(json.dumps(line | more))


class _ConsoleFormatter(structlog.stdlib.ProcessorFormatter):
    """Escapes what control characters a renderer has left in the lines that it writes."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(escape, super().format(record).split("\n")))


def _on_one_line(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Keep a message, and each value beside it, on one line; tracebacks have lines of their own."""
    return {
        name: value if name == "exc_info" else escape(value if isinstance(value, str) else repr(value))
        for name, value in event.items()
    }


def _write_traceback(to: TextIO, failure: Any) -> None:
    """Write a traceback, indented: the lines of an exception's notes cannot be told from others."""
    for part in TracebackException(*failure).format():
        text = part.strip("\n")
        # A frame also has a line with its source, which is ours.
        lines = text.split("\n") if part.startswith("  File ") else [escape(text)]
        to.writelines(f"\n  {line}" for line in lines)


def _escape_deletes(line: str) -> str:
    """JSON escapes all control characters but this one, and all that is not ASCII."""
    return line.replace("\x7f", "\\u007f")


class _Printed(io.TextIOBase):
    """A standard stream whose lines are JSON, too."""

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


def _end_of_thread(ending: threading.ExceptHookArgs) -> None:
    if ending.exc_value and not isinstance(ending.exc_value, SystemExit):
        name = ending.thread.name if ending.thread else "?"
        failure = (ending.exc_type, ending.exc_value, ending.exc_traceback)
        logging.getLogger(__name__).critical("the thread %s ends", name, exc_info=failure)
