"""All faults at random, for a minute in each run of the tests, and for an hour with ``make soak``."""

from __future__ import annotations

import os
import random

import pytest
from support.criteria import check

from faults.chaos import MARKET, Chaos

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
SEED = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))


@pytest.mark.timeout(SECONDS * 1.5 + 300)
def test_random_faults_in_random_order(build):
    print(f"SOAK_SEED={SEED}")  # shown when it fails; the same seed makes the same choices  # noqa: T201
    system = build(**MARKET)
    with system.proxied() as proxied:
        chaos = Chaos(system, proxied, SECONDS, SEED)
        jobs = chaos.run()
        system.wait_for_end(jobs, timeout_s=60)
        seen = check(system, jobs, unknown_allowed=True)
    print(dict(seen), dict(chaos.done))  # noqa: T201
    assert len(chaos.done) > 8
    assert seen["takeovers"] > 0
