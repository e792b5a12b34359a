"""Messages of Socket.IO clients: rooms, refusals and polling payloads."""

from __future__ import annotations

import json

import pytest
import requests


def test_a_polling_response_has_at_most_sixteen_packets(system, user):
    """The python-engineio client refuses a payload of more than 16 packets, and loses its events."""
    address = f"{system.url}/socket.io/?EIO=4&transport=polling"
    with requests.Session() as session:

        def poll():
            return session.get(address, timeout=30).content.decode().split("\x1e")

        address += "&sid=" + json.loads(poll()[0][1:])["sid"]
        session.post(address, data="40", timeout=10)
        session.post(address, data=f'42["join_room","user_{user}"]', timeout=10)
        job_id = system.submit(userId=user, walletCount=40, buyAmount=0.4)
        events_of_job = system.ended(job_id)["progressEvents"]
        seqs = []
        while not seqs or seqs[-1] < len(events_of_job):
            packets = poll()
            assert len(packets) <= 16
            events = [json.loads(packet[2:]) for packet in packets if packet.startswith("42")]
            seqs += [event["seq"] for name, event in events if name == "worker_progress"]
        assert seqs == list(range(1, len(events_of_job) + 1))


@pytest.mark.parametrize("kind", ["node", "python"])
def test_a_refusal_is_sent_to_the_callback_or_as_room_error(connect_client, kind):
    client = connect_client(kind, "websocket", "nonsense", "job_unknown")
    assert client.answers()["nonsense"]["error"]["code"] == "invalid_room"
    assert client.answers()["job_unknown"] == {
        "success": False,
        "error": {"code": "job_not_found", "message": "no job unknown"},
    }
    assert client.room_errors() == []
    for message in (["join_room", "nonsense"], ["join_room"], ["join_room", 7], ["leave_room", ["a"]]):
        client.send(*message)
        client.wait_for(lambda client: client.room_errors())
        assert client.room_errors()[0]["code"] == "invalid_room"
        client.lines.clear()


def test_a_client_that_left_a_room_receives_no_event(system, connect_client, user):
    client = connect_client("node", "websocket", f"user_{user}")
    other = connect_client("python", "websocket", f"user_{user}")
    client.send("leave_room", f"user_{user}")
    client.send("join_room", "nonsense")
    client.wait_for(lambda client: client.room_errors())  # so the leave_room before it has been handled too
    job_id = system.submit(userId=user)
    other.wait_for(lambda client: job_id in client.ended())
    assert client.events() == []


def test_an_invalid_message_on_the_channel_is_ignored(system, connect_client, user):
    client = connect_client("node", "websocket", f"user_{user}")
    with system.store() as store:
        for payload in (b"", b"{", b"\xff", b"null", b'{"seq":NaN}'):
            store.publish(f"cto:room:user_{user}", payload)
    job_id = system.submit(userId=user)
    client.wait_for(lambda client: job_id in client.ended())
    assert client.events() == system.events(job_id)
    assert "not an event" in system.output()
