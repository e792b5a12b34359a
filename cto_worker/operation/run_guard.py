"""The guard of a run: checks that the run still holds its lease, and that its worker is not stopping."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cto_worker.crash_points import crash_point
from cto_worker.errors import Handover, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class RunGuard:
    """The conditions that end a run from outside: its lease expires, or its worker stops."""

    lease: Lease | None = None  # ``None``: no other run can claim the job
    stopping: threading.Event = field(default_factory=threading.Event)  # set when the worker must stop
    crash_at: str = ""  # see crash_points.py

    def check_owned(self) -> None:
        """Raise :class:`~cto_worker.errors.LeaseLostError` unless this run still owns the job."""
        if self.lease:
            self.lease.check()

    def check_stopping(self) -> None:
        """Raise :class:`~cto_worker.errors.Handover` if the worker must stop."""
        if self.stopping.is_set():
            raise Handover("this worker stops")

    def pause(self, seconds: float) -> None:
        """Wait for a number of seconds, or until the worker must stop."""
        self.stopping.wait(seconds)

    def reached(self, point: str) -> None:
        """Mark a crash point: a test may kill the process here."""
        if self.crash_at and self.lease:
            crash_point(point, self.crash_at, self.lease.attempt)


@dataclass(slots=True)
class Lease:
    """The lease of one run on one job."""

    job_id: str
    attempt: int
    ends_s: float  # on the monotonic clock, which continues while the process is suspended
    renew: Callable[[], object] = lambda: None  # renews an ended lease, unless the job was claimed

    def check(self) -> None:
        """Raise :class:`LeaseLostError` unless the lease is certainly still valid, or can be renewed."""
        if time.monotonic() >= self.ends_s:
            self.renew()
        if time.monotonic() >= self.ends_s:
            raise LeaseLostError(f"the lease on job {self.job_id} was not renewed in time")
