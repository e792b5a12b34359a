"""Crash points: named places where a worker kills itself, for tests of recovery.

``CTO_CRASH_AT=after_submit`` kills the process in the first attempt of a job, ``after_submit:always`` in
every attempt. At the points of the archive it kills every process that reaches them.
"""

from __future__ import annotations

import os
import signal

CRASH_POINTS = (
    "after_record",  # a producer: the job is recorded, its message not sent
    "after_claim",
    "before_plan",  # phases 2 and 3 are complete, the plan is not recorded
    "after_plan",
    "before_intent",  # an order is prepared, its intent not recorded
    "after_intent",
    "after_submit",  # submitted, but not recorded as submitted
    "after_submitted",
    "before_outcome",  # the outcome is known, but not recorded
    "after_outcome",
    "after_end",
    "before_archive",  # ended jobs are read, but not written to the archive
    "after_archive",  # written, but the store does not know
)


def crash_point(name: str, crash_at: str, attempt: int) -> None:
    """Kill this process without clean-up if ``crash_at`` names this point."""
    wanted, _, always = crash_at.partition(":")
    if name == wanted and (always or attempt <= 1):
        os.kill(os.getpid(), signal.SIGKILL)
