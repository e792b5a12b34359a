"""The lease keeper: renews the leases of the jobs that this worker process has claimed.

A lease is measured in the store's time. This process measures with its own monotonic clock, from the moment
before each renewal is sent. A run therefore stops before the store lets another worker claim its job.

A process may also stall: its machine is suspended, or another thread has the interpreter lock. When it
continues, its leases may have ended by its own clock, but not in the store. A run then asks the store before
it stops.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from cto_worker.operation.run_guard import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cto_worker.domain.journal_ports import Leases

log = logging.getLogger(__name__)

# Renewals in the time of one lease. A stall just before a renewal costs 1/16 of the lease.
RENEWALS_PER_LEASE = 16
MARGIN = 0.1  # a run stops this part of a lease before the lease expires


class LeaseKeeper:
    """Renews all leases of this process with one write, from its own thread.

    The port must have its own connection, so that operations cannot delay renewals.
    """

    def __init__(self, port: Leases, lease_ms: int) -> None:
        self._port = port
        self._lease_s = lease_ms / 1000 * (1 - MARGIN)
        self._interval_s = lease_ms / 1000 / RENEWALS_PER_LEASE
        self._leases: dict[str, Lease] = {}
        self._stopped = threading.Event()
        self._late = threading.Lock()  # held during a late renewal
        self._sent_s = 0.0  # when the last renewal was sent

    @contextmanager
    def keeping(self, job_id: str, attempt: int, claimed_s: float) -> Iterator[Lease]:
        """Renew a job's lease while the block runs. ``claimed_s`` is the monotonic time before the claim."""
        lease = Lease(job_id, attempt, claimed_s + self._lease_s, self._renew_late)
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
                log.exception("the renewal of leases failed")

    def renew(self) -> None:
        """Renew every lease once. The lease of a job that another run has claimed ends at once."""
        leases = list(self._leases.values())
        if not leases:
            return
        sent_s = self._sent_s = time.monotonic()
        renewed = self._port.renew({lease.job_id: lease.attempt for lease in leases})
        for lease in leases:
            lease.ends_s = sent_s + self._lease_s if renewed[lease.job_id] else 0.0

    def _renew_late(self) -> None:
        """Renew because a lease has ended here. Runs that call this at the same time share one renewal."""
        called_s = time.monotonic()
        with self._late:
            if self._sent_s < called_s:
                try:
                    self.renew()
                except RedisError as error:
                    log.warning("the late renewal of leases failed: %s", error)

    @property
    def running_jobs(self) -> int:
        """The number of jobs that this process runs."""
        return len(self._leases)

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped.set()
