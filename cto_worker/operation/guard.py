"""A run's hold on its job: whether it may go on, asked before every step."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from cto_worker.crash_points import crash_point
from cto_worker.errors import Handover, LeaseLostError


@dataclass(slots=True)
class RunGuard:
    """What may end a run from outside: its lease, and its worker's stopping."""

    lease: Lease | None = None  # ``None``: nobody else can have the job
    stopping: threading.Event = field(default_factory=threading.Event)  # set once the worker is to stop
    crash_at: str = ""  # see crash.py

    def check_owned(self) -> None:
        """Raise :class:`~cto_worker.errors.LeaseLostError` unless the job still is this run's."""
        if self.lease:
            self.lease.check()

    def check_stopping(self) -> None:
        """Raise :class:`~cto_worker.errors.Handover` when the worker is to stop."""
        if self.stopping.is_set():
            raise Handover("this worker is to stop")

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the worker may go on."""
        self.stopping.wait(seconds)

    def reached(self, point: str) -> None:
        """Pass a crash point."""
        if self.crash_at and self.lease:
            crash_point(point, self.crash_at, self.lease.attempt)


@dataclass(slots=True)
class Lease:
    """One run's hold on one job."""

    job_id: str
    attempt: int
    ends_s: float  # on this process's monotonic clock, which goes on while the process is stopped

    def check(self) -> None:
        """Raise :class:`LeaseLostError` unless the job still is this run's for sure."""
        if time.monotonic() >= self.ends_s:
            raise LeaseLostError(f"the lease on job {self.job_id} could not be renewed in time")
