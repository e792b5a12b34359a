"""The sweeper: searches for orphaned jobs, and sends their messages again.

It sweeps at regular intervals, and also when the next lease expires. Every worker has a sweeper, and one is
enough. Several do no harm: the store returns an orphan to one sweep at a time, and a superfluous message
finds its job claimed.
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

    from cto_worker.domain.journal_ports import JobStore

log = logging.getLogger(__name__)

SWEEPS_PER_LEASE = 3


class OrphanSweeper:
    """Searches for orphans. ``send(job_id, document, resumed)`` sends one job's message."""

    def __init__(
        self, jobs: JobStore, lease_ms: int, send: Callable[[str, dict[str, Any], bool], None]
    ) -> None:
        self._jobs = jobs
        self._interval_s = lease_ms / 1000 / SWEEPS_PER_LEASE
        self._send = send
        self._stopped = threading.Event()

    def run(self) -> None:
        """Sweep at once, and again after each :meth:`pause_s`, until :meth:`stop`."""
        while not self._stopped.is_set():
            pause_s = self._interval_s
            try:
                self.sweep()
                pause_s = self.pause_s()
            except (RedisError, OperationalError) as error:
                log.warning("cannot sweep for orphaned jobs: %s", error)
            except Exception:
                log.exception("the sweep for orphaned jobs failed")
            self._stopped.wait(pause_s)

    def sweep(self) -> int:
        """Send the message of every orphan once. Returns the number of orphans."""
        orphans = self._jobs.find_orphans()
        for orphan in orphans:
            with bound_contextvars(job_id=orphan.job_id, attempt=orphan.attempt):
                log.warning("orphaned: sending its message again")
                self._send(orphan.job_id, json.loads(orphan.request), orphan.attempt > 0)
        return len(orphans)

    def pause_s(self) -> float:
        """Return the seconds until the next sweep: until a job is due, or a regular interval if none is.

        The interval also bounds the pause, because a job may become due earlier than expected.
        """
        due_ms = self._jobs.ms_until_due()
        return self._interval_s if due_ms is None else min(self._interval_s, due_ms / 1000)

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped.set()
