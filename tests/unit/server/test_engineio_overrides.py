"""The queue of each Engine.IO client, and the end of sessions."""

from __future__ import annotations

import json
import queue
import threading

import pytest
import socketio
from flask import Flask
from support.waiting import wait_until
from werkzeug.test import Client

from api.realtime.socketio_packet_guard import PacketGuard
from api.realtime.socketio_transport import make_socketio
from api.server.engineio_overrides import RETAINED_ENVIRON, UNJOINED_PACKETS, PacketQueue, install_engine


def test_a_poll_without_items_ends_after_its_timeout():
    with pytest.raises(queue.Empty):
        PacketQueue().get(timeout=0.01)


def test_a_second_simultaneous_poll_is_refused():
    packets, answers = PacketQueue(), []
    first = threading.Thread(target=lambda: answers.append(packets.get(timeout=5)))
    first.start()
    wait_until(lambda: packets.has_waiter)
    with pytest.raises(queue.Empty):
        packets.get(timeout=5)
    packets.put(None)
    first.join(5)
    assert answers == [None]


@pytest.mark.parametrize("last", ["1", "4x"])
def test_packets_after_the_end_of_a_session_are_ignored(last):
    server = socketio.Server(async_mode="threading", monitor_clients=False)
    install_engine(
        server.eio,
        None,
        create_queue=PacketQueue,
        on_message=PacketGuard(server).check_and_handle,
    )
    client = Client(socketio.WSGIApp(server))
    address = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads(client.get(address).text[1:])["sid"]
    client.post(f"{address}&sid={sid}", data=f"{last}\x1e40")
    assert server.eio.sockets == {}
    assert server.manager.rooms == {}
    assert not any(server.manager.pending_connect.values())


def test_an_ended_session_is_removed_without_another_poll():
    server = socketio.Server(async_mode="threading", monitor_clients=False)
    install_engine(server.eio, None, create_queue=PacketQueue)
    assert Client(socketio.WSGIApp(server)).get("/socket.io/?EIO=4&transport=polling").status_code == 200
    (session,) = server.eio.sockets.values()
    session.close(wait=False, abort=True)
    assert server.eio.sockets == {}


def polling_clients(count):
    """Return a server with polling clients."""
    server = socketio.Server(async_mode="threading", monitor_clients=False, ping_interval=10**6)
    opened = []
    install_engine(server.eio, None, create_queue=PacketQueue, on_opened=opened.append)
    client = Client(socketio.WSGIApp(server))
    for _ in range(count):
        client.get("/socket.io/?EIO=4&transport=polling", headers={"X-Other": "not kept"})
    assert opened == list(server.eio.sockets)
    return server


def test_all_clients_wait_for_their_pings_in_one_thread():
    before = threading.active_count()
    polling_clients(5)
    assert threading.active_count() <= before + 1


def test_only_the_needed_part_of_a_request_is_kept():
    (kept,) = polling_clients(1).environ.values()
    assert set(kept) <= set(RETAINED_ENVIRON)
    assert kept["QUERY_STRING"]


class PollingClient:
    """A polling session of a server with message limits."""

    def __init__(self, *joined):
        self.server = make_socketio(Flask("api"), "threading").server
        limits = PacketGuard(self.server)
        install_engine(
            self.server.eio,
            None,
            create_queue=PacketQueue,
            on_message=limits.check_and_handle,
        )
        self._client, self._url = Client(socketio.WSGIApp(self.server)), "/socket.io/?EIO=4&transport=polling"
        self._url += f"&sid={json.loads(self._client.get(self._url).text[1:])['sid']}"
        self.events = []
        self.server.on("join_room", lambda _: self.events.append("join_room"))
        self.server.on("disconnect", lambda *_: self.events.append("disconnect"))
        self.post(*joined)

    def post(self, *packets):
        self._client.post(self._url, data="\x1e".join(packets))

    @property
    def is_open(self):
        return bool(self.server.eio.sockets)


JOIN, EVENT, PONG = "40", '42["join_room"]', "3"


@pytest.mark.parametrize("packets", [[PONG] * (UNJOINED_PACKETS + 1), ["x"]])
def test_invalid_or_too_many_posted_packets_end_a_session(packets):
    client = PollingClient()
    client.post(*packets)
    assert not client.is_open


def test_a_joined_session_may_post_more_packets_at_once():
    client = PollingClient(JOIN)
    client.post(*[EVENT] * (UNJOINED_PACKETS + 1))
    assert client.is_open
    assert client.events == ["join_room"] * (UNJOINED_PACKETS + 1)


def test_a_session_ends_after_a_message_before_it_joined():
    client = PollingClient()
    client.post(EVENT)
    assert not client.is_open


def test_a_client_cannot_raise_an_event_of_the_server():
    client = PollingClient(JOIN)
    client.post('42["disconnect"]')
    assert client.events == []
