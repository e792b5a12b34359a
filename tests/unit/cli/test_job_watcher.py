"""The order of events that `cto watch --user` and `--all` show."""

from __future__ import annotations

import queue

import pytest

from api.cli.job_watcher import next_of_room
from api.cli.rest_client import GatewayError, RestClient

UNREACHABLE = RestClient("http://127.0.0.1:1")
NEVER_ASKED = RestClient("no address")  # a request to it is an error


def event(seq, job_id="j1"):
    return {"jobId": job_id, "seq": seq}


def received(message, seen, ended=(), gateway=NEVER_ASKED):
    arrived = queue.SimpleQueue()
    arrived.put(message)
    return next_of_room(gateway, arrived, seen, set(ended))


def test_the_display_of_a_running_job_begins_with_its_latest_event():
    assert received(event(7), {}) == [event(7)]


def test_an_event_is_shown_once_and_in_order():
    assert received(event(8), {"j1": 7}) == [event(8)]
    assert received(event(7), {"j1": 7}) == []
    assert received(event(9), {"j1": 7}, gateway=UNREACHABLE) == [], "the history is read later"
    with pytest.raises(GatewayError, match="invalid_request"):
        received(event(9), {"j1": 7})
    assert received(event(3), {}, ended=["j1"]) == []


def test_histories_are_read_after_a_join():
    with pytest.raises(GatewayError, match="invalid_request"):
        received({"success": True, "room": "user_7"}, {"j1": 7})


def test_a_refused_room_is_an_error():
    refusal = {"success": False, "error": {"code": "forbidden", "message": "not yours"}}
    with pytest.raises(GatewayError, match="forbidden: not yours"):
        received(refusal, {})
