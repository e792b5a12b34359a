"""The rate limit's storage against that of the library it extends."""

from __future__ import annotations

import time

import pytest
from limits import parse
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.limits.request_window_storage import RequestWindowStorage

LIMIT = parse("3/hour")


@pytest.fixture
def limiters(store):
    """A limiter with our storage, and one with that of the library, with keys of their own."""
    return [
        SlidingWindowCounterRateLimiter(
            storage("redis://", connection_pool=store.connection_pool, key_prefix=storage.__name__)
        )
        for storage in (RequestWindowStorage, RedisStorage)
    ]


def count(limiter, name="7"):
    return limiter.hit(LIMIT, name), limiter.get_window_stats(LIMIT, name)


def test_both_storages_count_alike(limiters):
    for within in (True, True, True, False, False):
        (ours, our_window), (theirs, their_window) = map(count, limiters)
        assert ours == theirs == within
        assert our_window.remaining == their_window.remaining
        # The library's own time is wrong in the first millisecond of a window, which also happens here.
        assert our_window.reset_time == pytest.approx(time.time() + LIMIT.get_expiry(), abs=60)


def test_a_request_is_counted_in_one_round_trip(limiters, store):
    def calls(limiter):
        count(limiter)  # loads the scripts
        before = store.info("commandstats")["cmdstat_evalsha"]["calls"]
        count(limiter)
        return store.info("commandstats")["cmdstat_evalsha"]["calls"] - before

    assert list(map(calls, limiters)) == [1, 2]


def test_a_window_is_read_again_after_it_was_used_or_for_another_caller(limiters):
    ours, _ = limiters
    count(ours)
    assert ours.get_window_stats(LIMIT, "7").remaining == 2
    ours.hit(LIMIT, "7")
    assert ours.get_window_stats(LIMIT, "8").remaining == 3
    assert ours.get_window_stats(LIMIT, "7").remaining == 1
