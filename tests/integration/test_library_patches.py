"""Replaced parts of redis-py, on a real store."""

from __future__ import annotations

import select
from types import SimpleNamespace

from redis._parsers import hiredis

from api import library_patches


def test_a_pooled_connection_is_checked_by_one_poll(store, monkeypatch):
    polls = []

    def poll():
        polls.append(select.poll())
        return polls[-1]

    monkeypatch.setattr(hiredis, "_socket_can_read", hiredis._socket_can_read)  # restores it
    library_patches.check_store_connections_at_once(SimpleNamespace(poll=poll, POLLIN=select.POLLIN))
    for count in range(3):
        store.ping()
        assert len(polls) <= count + 1
    assert polls
