"""Leases: a worker process keeps the jobs it has claimed, and knows when it may have lost one.

A lease counts in the store's time. This process never reads that clock: it counts on its own monotonic one,
from before each renewal was sent, so it gives a job up before the store would give it to another.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from cto_worker.operation.guard import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cto_worker.domain.journal import Journal

log = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3
MARGIN = 0.1  # part of a lease by which a run stops before the lease ends


class LeaseKeeper:
    """Renews all leases of this process in one step, from a thread and through a journal of its own.

    ``journal`` must have a connection that operations do not use, so that they cannot starve it.
    """

    def __init__(self, journal: Journal, lease_ms: int) -> None:
        self._journal = journal
        self._lease_s = lease_ms / 1000 * (1 - MARGIN)
        self._interval_s = lease_ms / 1000 / RENEWALS_PER_LEASE
        self._leases: dict[str, Lease] = {}
        self._stopped = threading.Event()

    @contextmanager
    def keeping(self, job_id: str, attempt: int, claimed_s: float) -> Iterator[Lease]:
        """Keep a job for the length of the block. ``claimed_s``: our clock before it was claimed."""
        lease = Lease(job_id, attempt, claimed_s + self._lease_s)
        self._leases[job_id] = lease
        try:
            yield lease
        finally:
            if self._leases.get(job_id) is lease:
                del self._leases[job_id]

    def run(self) -> None:
        """Renew until :meth:`stop`."""
        while not self._stopped.wait(self._interval_s):
            try:
                self.renew()
            except RedisError as error:
                log.warning("cannot renew %d leases: %s", len(self._leases), error)
            except Exception:
                log.exception("renewing the leases broke")

    def renew(self) -> None:
        """Renew every lease once. One that is another's by now is lost at once."""
        leases = list(self._leases.values())
        if not leases:
            return
        asked_s = time.monotonic()
        renewed = self._journal.renew({lease.job_id: lease.attempt for lease in leases})
        for lease in leases:
            lease.ends_s = asked_s + self._lease_s if renewed[lease.job_id] else 0.0

    @property
    def held(self) -> int:
        """How many jobs this process has."""
        return len(self._leases)

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped.set()
