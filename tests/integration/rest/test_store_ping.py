"""The health check of the store: concurrent requests share one ping."""

from __future__ import annotations

from support.threads import in_threads

from api.rest import store_ping
from api.rest.store_ping import StorePing


def pings(store):
    return store.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]


def test_many_health_checks_need_one_ping(store, monkeypatch):
    monkeypatch.setattr(store_ping, "VALID_S", 60)
    ping, before = StorePing(store), pings(store)
    in_threads(lambda _: ping.check(), range(50))
    assert pings(store) - before == 1
