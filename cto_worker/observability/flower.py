"""Flower, where operators watch workers and tasks: ``python -m cto_worker.observability.flower``.

It shows every job. So it listens on this machine only, or asks for a password; it controls nothing unless a
setting says so; and it keeps the latest tasks only.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import flower.command
from celery.bin.celery import celery
from flower.app import Flower
from tornado.ioloop import PeriodicCallback
from tornado.web import RequestHandler

from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.hosts import host_name
from cto_worker.observability import logs
from cto_worker.observability.flower_options import environment, names, options
from cto_worker.observability.refusal_log import MAX_KEY, RefusalLog
from cto_worker.store.startup import wait_for_store
from cto_worker.unknown_settings import unknown_settings

FORGET_MS = 10_000

log = logging.getLogger(__name__)


class _GuardedFlower(Flower):  # type: ignore[misc]  # Flower ships no types
    """A Flower that answers to certain host names only, and forgets workers that have ended."""

    names: frozenset[str] | None = None
    translate_script_errors = RefusalLog(log)

    def start(self) -> None:
        PeriodicCallback(self.forget_workers, FORGET_MS).start()
        super().start()

    def forget_workers(self) -> None:
        """Drop what is kept beside each worker, which ``--max-workers`` does not bound."""
        state, inspected = self.events.state, self.inspector.workers
        gone = (state.counter.keys() | inspected.keys()) - set(state.workers)
        state.metrics.remove_workers(gone)
        for name in gone:
            state.counter.pop(name, None)
            inspected.pop(name, None)

    def find_handler(self, request: Any, **more: Any) -> Any:
        host = request.headers.get("Host", "")  # browsers always send it
        if self.names is None or not host or host_name(host) in self.names:
            return super().find_handler(request, **more)
        self.translate_script_errors.note(
            host,
            "refused a request from %s: the host %s is not allowed: "
            "add it to CTO_FLOWER_NAMES if operators use Flower by that name",
            request.remote_ip,
            host[:MAX_KEY],
        )
        return self.get_handler_delegate(request, _Refusal)


class _Refusal(RequestHandler):
    """Answers 403 to a host name that is not allowed."""

    def check_xsrf_cookie(self) -> None:
        """Check nothing: whatever was sent is refused."""

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(
            "Flower does not answer to this host name: use http://127.0.0.1, or set CTO_FLOWER_NAMES.\n"
        )


def main() -> None:
    """Run Flower, whose lines go the way of all others."""
    try:
        settings = Settings.from_env()
        os.environ.update(environment(settings))
    except ConfigError as error:
        sys.exit(f"error: {error}")
    logs.configure(settings)
    for warning in unknown_settings().values():
        log.warning(warning)
    # Flower asks each worker for all it can tell; a worker that is just starting does not answer all in time.
    logging.getLogger("flower.inspector").setLevel(logging.ERROR)
    wait_for_store(settings)
    _GuardedFlower.names = names(settings)
    flower.command.Flower = _GuardedFlower  # its command has no way to be given another application
    celery(["--app", "cto_worker.app", "flower", *options(settings)], prog_name="celery")


if __name__ == "__main__":
    main()
