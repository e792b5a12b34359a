"""Calls in threads that run at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from cto_worker.store.store_connection import connect


def in_threads(function, arguments):
    """Call ``function`` with each of the arguments, in a thread each. Return the results in this order."""
    arguments = list(arguments)
    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(function, arguments))


def assert_threads_wait_for_a_connection(settings):
    """Check that ten threads share the two connections of a pool: none gets an error."""
    few = connect(settings, max_connections=2)
    assert in_threads(lambda _: few.blpop("nothing", timeout=0.1), range(10)) == [None] * 10
