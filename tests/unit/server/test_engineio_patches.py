"""The queue of each Engine.IO client, and the end of sessions."""

from __future__ import annotations

import json
import queue
import threading

import pytest
import socketio
from support.waiting import wait_until
from werkzeug.test import Client

from api.server.engineio_patches import PacketQueue, install_engine
from api.server.message_limits import limit_messages


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
    install_engine(server.eio, lambda _: None, None)
    limit_messages(server)
    client = Client(socketio.WSGIApp(server))
    address = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads(client.get(address).text[1:])["sid"]
    client.post(f"{address}&sid={sid}", data=f"{last}\x1e40")
    assert server.eio.sockets == {}
    assert server.manager.rooms == {}
    assert not any(server.manager.pending_connect.values())


def test_an_ended_session_is_removed_without_another_poll():
    server = socketio.Server(async_mode="threading", monitor_clients=False)
    install_engine(server.eio, lambda _: None, None)
    assert Client(socketio.WSGIApp(server)).get("/socket.io/?EIO=4&transport=polling").status_code == 200
    (session,) = server.eio.sockets.values()
    session.close(wait=False, abort=True)
    assert server.eio.sockets == {}
