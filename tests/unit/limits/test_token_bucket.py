"""The token bucket: a burst, and then a rate."""

from __future__ import annotations

import time

from api.limits.token_bucket import TokenBucket


def test_a_new_bucket_holds_a_burst():
    bucket = TokenBucket(burst=10, per_second=0)
    assert [bucket.spend() for _ in range(12)] == [True] * 10 + [False] * 2


def test_a_bucket_refills_at_its_rate():
    begun_s = time.monotonic()
    bucket, spent = TokenBucket(burst=10, per_second=1_000), 0
    while spent < 200:
        spent += bucket.spend()
    assert spent <= 10 + 1_000 * (time.monotonic() - begun_s)
