"""Waiting for a condition, instead of sleeping."""

from __future__ import annotations

import time


def wait_until(condition, timeout_s=60):
    """Wait until a condition holds. Return its value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"the condition did not hold within {timeout_s} s"
        time.sleep(0.02)


def assert_stays(condition, for_s):
    """Check repeatedly for this time that a condition holds."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        assert condition(), f"the condition did not hold for {for_s} s"
        time.sleep(0.02)
