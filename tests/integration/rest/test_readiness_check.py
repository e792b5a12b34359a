"""The health check of the store: concurrent requests share one ping."""

from __future__ import annotations

from support.threads import in_threads

from api.rest import readiness_check
from api.rest.readiness_check import ReadinessCheck


def pings(store):
    return store.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]


def test_many_health_checks_need_one_ping(store, monkeypatch):
    monkeypatch.setattr(readiness_check, "VALID_S", 60)
    check, before = ReadinessCheck(store), pings(store)
    in_threads(lambda _: check.check(), range(50))
    assert pings(store) - before == 1
