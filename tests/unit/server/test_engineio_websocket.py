"""The transport of Engine.IO: one message at a time, and the time limit of an upgrade."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import engineio
import pytest
from support.waiting import wait_until

from api.limits.token_bucket import BURST
from api.server.connection_poller import ConnectionPoller
from api.server.engineio_overrides import PacketQueue, install_engine
from api.server.websocket_transport import WebSocketEngine

REQUEST = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "QUERY_STRING": "EIO=4&transport=websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_UPGRADE": "websocket",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}
MAX_PINGS = BURST // 4  # far more than during the limit, and fewer than the message limit allows


def start_thread(callback):
    threading.Thread(target=callback).start()


def make_server(connection, poller, handle, **options):
    """Return an Engine.IO server on plain threads, whose next WebSocket uses the connection."""
    server = engineio.Server(async_mode="threading", async_handlers=False, monitor_clients=False, **options)
    for name, handler in {"connect": None, "disconnect": None, "message": handle}.items():
        server.on(name, handler or (lambda *_: None))
    engine = WebSocketEngine(lambda _: connection, poller, start_thread)
    install_engine(server, engine, create_queue=PacketQueue)
    return server


class Served:
    """An Engine.IO server with one client, on plain threads. Its handler waits until it may continue."""

    def __init__(self, epoll, ours, theirs):
        self.poller, self.theirs, self.threads = ConnectionPoller(epoll, self._run), theirs, []
        self.handled, self.may_continue = [], threading.Semaphore(0)
        connection = SimpleNamespace(fd=ours, fileno=ours.fileno, settimeout=lambda _: None)
        server = make_server(connection, self.poller, self._handle, ping_interval=10**6)
        server.handle_request(dict(REQUEST), pytest.fail)

    def _run(self, callback):
        self.threads.append(threading.Thread(target=callback))
        self.threads[-1].start()

    def _handle(self, _, message):
        self.handled.append(message)
        self.may_continue.acquire(timeout=10)

    def send(self, *messages):
        """Send messages with a mask of zeros, and poll."""
        self.theirs.sendall(
            b"".join(b"\x81" + bytes((0x80 | len(text),)) + bytes(4) + text for text in messages)
        )
        self.poller.poll()


@pytest.fixture
def served():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with select.epoll() as epoll, ours, theirs:
        served = Served(epoll, ours, theirs)
        yield served
        served.may_continue.release(10)
        for thread in served.threads:
            thread.join()


def test_messages_are_handled_one_at_a_time(served):
    served.send(b"4one")
    wait_until(lambda: served.handled == ["one"])
    served.send(b"4two", b"4three")
    wait_until(lambda: not served.poller._callbacks)
    served.send(b"4four")
    assert served.handled == ["one"]
    for count in (2, 3):
        served.may_continue.release()
        wait_until(lambda count=count: len(served.handled) == count)
    served.may_continue.release()
    wait_until(lambda: served.poller._callbacks)
    served.poller.poll()
    wait_until(lambda: served.handled == ["one", "two", "three", "four"])


def test_pings_do_not_extend_the_time_limit_of_an_upgrade():
    ours, theirs = socket.socketpair()
    with select.epoll() as epoll, ours, theirs:
        poller = ConnectionPoller(epoll, pytest.fail)
        server = make_server(ours, poller, pytest.fail, ping_interval=0.1, ping_timeout=0.1)
        polling = {"REQUEST_METHOD": "GET", "QUERY_STRING": "EIO=4&transport=polling"}
        (opened,) = server.handle_request(polling, lambda *_: None)
        sid = json.loads(opened[1:])["sid"]
        server.sockets[sid].queue.note_joined()  # before, it could send a few packets only
        query = f"{REQUEST['QUERY_STRING']}&sid={sid}"
        upgrade = threading.Thread(
            target=server.handle_request, args=(REQUEST | {"QUERY_STRING": query}, lambda *_: None)
        )
        upgrade.start()
        pings = 0
        while upgrade.is_alive() and pings < MAX_PINGS:
            with suppress(OSError):
                theirs.send(b"\x89\x80" + bytes(4))
            pings += 1
            time.sleep(0.01)
        theirs.close()
        upgrade.join()
    assert pings < MAX_PINGS
