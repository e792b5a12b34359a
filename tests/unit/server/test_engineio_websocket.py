"""Messages that arrive while an earlier one is handled are handled after it, in order."""

from __future__ import annotations

import select
import socket
import threading
from types import SimpleNamespace

import engineio
import pytest
from support.waiting import wait_until

from api.server.engineio_overrides import PacketQueue, install_engine
from api.server.socket_poller import SocketPoller
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


class Served:
    """An Engine.IO server with one client, on plain threads. Its handler waits until it may continue."""

    def __init__(self, epoll, ours, theirs):
        self.poller, self.theirs, self.threads = SocketPoller(epoll, self._run), theirs, []
        self.handled, self.may_continue = [], threading.Semaphore(0)
        server = engineio.Server(
            async_mode="threading", async_handlers=False, monitor_clients=False, ping_interval=10**6
        )
        for name in ("connect", "disconnect"):
            server.on(name, lambda *_: None)
        server.on("message", self._handle)
        connection = SimpleNamespace(fd=ours, fileno=ours.fileno, settimeout=lambda _: None)
        engine = WebSocketEngine(lambda _: connection, self.poller, self._run)
        install_engine(server, engine, create_queue=PacketQueue)
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
