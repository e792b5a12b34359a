"""Reaching the store."""

from __future__ import annotations

import threading

from cto_worker.store import connect


def test_more_threads_than_connections_wait_their_turn(store, settings):
    few = connect(settings, max_connections=2)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(few.blpop("nothing", timeout=0.1))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [None] * 10
