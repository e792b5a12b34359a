"""The sweeper: searches for orphaned jobs, and sends their messages again.

Every worker has one, and one is enough. Several do no harm: the store returns an orphan to one sweep at a
time, and a superfluous message finds its job claimed.
"""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from structlog.contextvars import bound_contextvars

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.domain.journal import JobStore

log = logging.getLogger(__name__)

SWEEPS_PER_LEASE = 3


class OrphanSweeper:
    """Sweeps at regular intervals. ``send(job_id, document, resumed)`` sends one job's message."""

    def __init__(
        self, jobs: JobStore, lease_ms: int, send: Callable[[str, dict[str, Any], bool], None]
    ) -> None:
        self._jobs = jobs
        self._interval_s = lease_ms / 1000 / SWEEPS_PER_LEASE
        self._send = send
        self._stopped = threading.Event()

    def run(self) -> None:
        """Sweep at once, and then at regular intervals until :meth:`stop`."""
        while not self._stopped.is_set():
            try:
                self.sweep()
            except (RedisError, OperationalError) as error:
                log.warning("cannot sweep for orphaned jobs: %s", error)
            except Exception:
                log.exception("the sweep for orphaned jobs failed")
            self._stopped.wait(self._interval_s)

    def sweep(self) -> int:
        """Send the message of every orphan once. Returns the number of orphans."""
        orphans = self._jobs.find_orphans()
        for orphan in orphans:
            with bound_contextvars(job_id=orphan.job_id, attempt=orphan.attempt):
                log.warning("orphaned: sending its message again")
                self._send(orphan.job_id, json.loads(orphan.request), orphan.attempt > 0)
        return len(orphans)

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped.set()
