"""Crash points: named places at which a test has a worker kill itself, to show that nothing depends on luck.

``CTO_CRASH_AT=after_submit`` kills the process in the first attempt of a job, ``after_submit:always`` in
every one.
"""

from __future__ import annotations

import os
import signal

CRASH_POINTS = (
    "after_record",  # a producer: the job is recorded, its message not sent
    "after_claim",
    "before_plan",  # phases 2 and 3 are through, the plan is not recorded
    "after_plan",
    "before_intent",  # an order is prepared, its intent not recorded
    "after_intent",
    "after_submit",  # sent, but not recorded as sent
    "after_submitted",
    "before_outcome",  # the outcome is known, but not recorded
    "after_outcome",
    "after_end",
)


def crash_point(name: str, crash_at: str, attempt: int) -> None:
    """Kill this process, without any clean-up, if ``crash_at`` names this place."""
    wanted, _, always = crash_at.partition(":")
    if name == wanted and (always or attempt <= 1):
        os.kill(os.getpid(), signal.SIGKILL)
