"""The health check of the store: concurrent requests share one ping."""

from __future__ import annotations

import threading

from api.rest import readiness_check
from api.rest.readiness_check import ReadinessCheck


def pings(store):
    return store.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]


def test_many_health_checks_need_one_ping(store, monkeypatch):
    monkeypatch.setattr(readiness_check, "VALID_S", 60)
    check, before = ReadinessCheck(store), pings(store)
    threads = [threading.Thread(target=check.check) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pings(store) - before == 1
