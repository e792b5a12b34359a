"""Flower, Celery's web monitor, restricted: ``python -m cto_worker.observability.flower``.

Flower shows every job, so it requires a password unless it listens on a loopback address. It is read-only by
default, and keeps a limited number of tasks in memory.
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

from cto_worker.addresses import host_name
from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.observability import logging_setup
from cto_worker.observability.flower_options import environment, names, options
from cto_worker.observability.warning_limiter import MAX_KEY, WarningLimiter
from cto_worker.store.store_reachability import wait_for_store
from cto_worker.unknown_settings import unknown_settings

FORGET_INTERVAL_MS = 10_000

log = logging.getLogger(__name__)


class _GuardedFlower(Flower):  # type: ignore[misc]  # Flower ships no types
    """A Flower that answers only to allowed host names, and forgets workers that have ended."""

    names: frozenset[str] | None = None  # allowed host names; ``None`` allows all
    warnings = WarningLimiter(log)

    def start(self) -> None:
        PeriodicCallback(self.forget_workers, FORGET_INTERVAL_MS).start()
        super().start()

    def forget_workers(self) -> None:
        """Delete the data of workers that Flower no longer lists; ``--max-workers`` does not bound it."""
        state, inspected = self.events.state, self.inspector.workers
        unlisted = (state.counter.keys() | inspected.keys()) - set(state.workers)
        state.metrics.remove_workers(unlisted)
        for name in unlisted:
            state.counter.pop(name, None)
            inspected.pop(name, None)

    def find_handler(self, request: Any, **options: Any) -> Any:
        host = request.headers.get("Host", "")  # browsers always send it
        if self.names is None or not host or host_name(host) in self.names:
            return super().find_handler(request, **options)
        self.warnings.warn(
            host,
            "refused a request from %s: the host %s is not allowed: "
            "add it to CTO_FLOWER_NAMES if operators open Flower under that name",
            request.remote_ip,
            host[:MAX_KEY],
        )
        return self.get_handler_delegate(request, _ForbiddenHost)


class _ForbiddenHost(RequestHandler):
    """Responds with 403 to a request for a host name that is not allowed."""

    def check_xsrf_cookie(self) -> None:
        """Do nothing, because every request is refused anyway."""

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(
            "This host name is not allowed: use http://127.0.0.1, or add the name to CTO_FLOWER_NAMES.\n"
        )


def main() -> None:
    """Run Flower. Its log has the format of all other processes."""
    try:
        settings = Settings.from_env()
        os.environ.update(environment(settings))
    except ConfigError as error:
        sys.exit(f"error: {error}")
    logging_setup.configure(settings)
    for warning in unknown_settings().values():
        log.warning(warning)
    # Flower sends each worker many queries, and warns when a starting worker does not answer all in time.
    logging.getLogger("flower.inspector").setLevel(logging.ERROR)
    wait_for_store(settings)
    _GuardedFlower.names = names(settings)
    flower.command.Flower = _GuardedFlower  # the command has no option for another application class
    celery(["--app", "cto_worker.app", "flower", *options(settings)], prog_name="celery")


if __name__ == "__main__":
    main()
