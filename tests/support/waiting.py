"""Waiting for a condition, instead of sleeping and hoping."""

from __future__ import annotations

import time


def wait_until(condition, timeout_s=60):
    """Wait for a condition and return what it gave."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def assert_stays(condition, for_s):
    """Look again and again, for so long, whether a condition holds."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        assert condition(), "it did not stay so"
        time.sleep(0.02)
