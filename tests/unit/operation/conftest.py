"""Jobs on a market with a virtual clock."""

from __future__ import annotations

import time

import pytest
from support.timed_market import timed_job


@pytest.fixture
def timed(monkeypatch):
    """Make jobs whose runs use the clock of their market."""

    def make(*arguments, **options):
        job = timed_job(*arguments, **options)
        monkeypatch.setattr(time, "monotonic", lambda: job.market.now_s)
        return job

    return make
