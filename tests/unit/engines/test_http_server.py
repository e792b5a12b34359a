"""The HTTP server, on ordinary threads: it depends on no engine."""

from __future__ import annotations

import errno
import socket
import threading
from collections import deque
from contextlib import suppress
from types import SimpleNamespace
from wsgiref.validate import validator

import pytest
from support.waiting import wait_until

from api.engines.http_connection import detach_socket
from api.engines.http_server import HttpServer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nConnection: close\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n"


def spawn(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


class Connection(socket.socket):
    """A Unix socket with the option and the addresses of TCP that the server uses."""

    def setsockopt(self, *_): ...

    def getsockname(self):
        return "127.0.0.1", 80


class Listener:
    """A listener whose connections a test makes. Without any, its end raises ``OSError``."""

    def __init__(self):
        self.closed = False
        self.clients = []
        self._new = deque()
        self._changed = threading.Semaphore(0)

    def accept(self):
        self._changed.acquire()
        if not self._new:
            raise OSError(errno.ESHUTDOWN, "closed")
        return self._new.popleft(), ("127.0.0.1", 9)

    def connect(self):
        client, server = socket.socketpair()
        client.settimeout(10)
        self._new.append(Connection(server.family, server.type, server.proto, server.detach()))
        self._changed.release()
        self.clients.append(client)
        return client

    def end(self):
        self._changed.release()

    def close(self):
        self.closed = True
        self.end()


@pytest.fixture
def serve():
    """Serve an application: ``serve(app, limit=10, keep_alive=True)`` returns the server and its listener."""
    listeners = []

    def start(app, *, limit=10, keep_alive=True):
        listeners.append(Listener())
        server = HttpServer(SimpleNamespace(spawn=spawn), listeners[-1], app, limit, keep_alive=keep_alive)
        server.start()
        return server, listeners[-1]

    yield start
    for listener in listeners:
        listener.close()
        for client in listener.clients:
            client.close()


def answer(connection, data):
    """Send bytes, and return what is received until the server closes the connection."""
    if data:  # the server may have closed the connection, which fails even if there is nothing to send
        connection.sendall(data)
    received = b""
    with suppress(ConnectionError):
        while more := connection.recv(65_536):
            received += more
    return received


def received(connection, end):
    """Return what is received up to these bytes."""
    data = b""
    while not data.endswith(end):
        more = connection.recv(65_536)
        assert more, data
        data += more
    return data


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hel", b"lo"]


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"hel", b"", b"lo"])


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


@pytest.mark.parametrize("app", [hello, stream])
def test_environment_and_body_are_those_of_wsgi(serve, app):
    _, listener = serve(validator(app))
    response = answer(listener.connect(), POST + b"Content-Type: a/b\r\n\r\nabcdef")
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_body_whose_length_is_known_is_not_chunked(serve):
    _, listener = serve(hello)
    response = answer(listener.connect(), LAST)
    assert b"\r\nContent-Length: 5\r\n" in response
    assert response.endswith(b"\r\nConnection: close\r\n\r\nhello")


def test_each_part_of_a_stream_is_sent_at_once(serve):
    go_on = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        go_on.wait(10)
        yield b"second"

    _, listener = serve(app)
    connection = listener.connect()
    connection.sendall(GET)
    received(connection, b"\r\n\r\n5\r\nfirst\r\n")
    go_on.set()
    assert received(connection, b"0\r\n\r\n") == b"6\r\nsecond\r\n0\r\n\r\n"


@pytest.mark.parametrize("status", ["204 NO CONTENT", "304 NOT MODIFIED", "200 OK"])
def test_a_response_without_a_body_has_none(serve, status):
    def app(environ, start_response):
        start_response(status, [])
        return [b"a body"]

    _, listener = serve(app)
    method = b"HEAD" if status == "200 OK" else b"GET"
    response = answer(listener.connect(), LAST.replace(b"GET", method))
    assert response.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in response
    assert b"chunked" not in response


def test_the_end_of_a_stream_is_the_end_of_the_connection_for_http_1_0(serve):
    _, listener = serve(stream)
    request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert answer(listener.connect(), request).endswith(b"\r\nConnection: close\r\n\r\nhello")


def test_a_connection_is_used_again_unless_the_server_does_not_keep_connections(serve):
    for keep_alive, count in ((True, 2), (False, 1)):
        _, listener = serve(hello, keep_alive=keep_alive)
        assert answer(listener.connect(), GET + LAST).count(b"200 OK") == count


def test_the_rest_of_a_body_is_skipped_before_the_next_request(serve):
    _, listener = serve(hello)
    data = POST.replace(b"Connection: close\r\n", b"") + b"\r\nabcdef"
    assert answer(listener.connect(), data + LAST).count(b"200 OK") == 2


def test_a_connection_ends_after_a_body_whose_end_is_unknown(serve):
    _, listener = serve(hello)
    data = CHUNKED.replace(b"Connection: close\r\n", b"") + b"no size\r\n"
    assert answer(listener.connect(), data + LAST).count(b"200 OK") == 1


def test_the_client_is_asked_for_a_body_that_the_application_reads(serve):
    _, listener = serve(echo)
    connection = listener.connect()
    connection.sendall(POST + b"Expect: 100-continue\r\n\r\n")
    assert received(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer(connection, b"abcdef").endswith(b"\r\n\r\nabcdef")


def test_the_connection_ends_if_the_client_may_still_send_a_body(serve):
    _, listener = serve(hello)
    request = POST.replace(b"Connection: close\r\n", b"Expect: 100-continue\r\n\r\n")
    response = answer(listener.connect(), request)
    assert response.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nConnection: close\r\n" in response


def test_an_error_of_the_application_is_a_500_if_nothing_was_sent(serve, caplog):
    def app(environ, start_response):
        start_response("200 OK", [])
        raise ZeroDivisionError

    _, listener = serve(app)
    assert answer(listener.connect(), GET).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert "unexpected error in the application" in caplog.text


def test_a_stream_that_fails_is_cut_off(serve, caplog):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        raise ZeroDivisionError

    _, listener = serve(app)
    assert answer(listener.connect(), GET).endswith(b"\r\n\r\n5\r\nfirst\r\n"), "without the last chunk"
    assert "ZeroDivisionError" in caplog.text


def test_the_application_learns_that_its_response_has_ended(serve):
    ended = threading.Event()

    class Parts(list):
        close = ended.set

    def app(environ, start_response):
        start_response("200 OK", [])
        return Parts([b"a"])

    _, listener = serve(app)
    answer(listener.connect(), LAST)
    assert ended.wait(10)


def test_a_detached_connection_outlives_its_request(serve):
    detached = []

    def app(environ, start_response):
        detached.append(detach_socket(environ))
        return []

    server, listener = serve(app)
    connection = listener.connect()
    connection.sendall(GET)
    wait_until(lambda: detached and server.count == 0)
    detached[0].sendall(b"still here")
    assert connection.recv(100) == b"still here"
    detached[0].close()
    assert connection.recv(100) == b""


def test_a_server_at_its_limit_accepts_the_next_connection_when_one_ends(serve):
    server, listener = serve(hello, limit=2)
    connections = [listener.connect() for _ in range(3)]
    wait_until(lambda: server.count == 2)
    connections[2].sendall(LAST)
    connections[0].close()
    assert answer(connections[2], b"").endswith(b"hello")


def test_a_stopping_server_ends_idle_connections_and_completes_requests(serve):
    go_on, running = threading.Event(), threading.Event()

    def app(environ, start_response):
        running.set()
        go_on.wait(10)
        return hello(environ, start_response)

    server, listener = serve(app)
    idle, busy = listener.connect(), listener.connect()
    busy.sendall(GET)
    assert running.wait(10)
    listener.close()
    assert idle.recv(100) == b""
    server.wait_for_requests(0.05)
    assert server.count == 1
    go_on.set()
    response = answer(busy, b"")
    assert b"\r\n\r\nhello" in response, "and the connection ends"
    server.wait_for_requests(10)
    assert server.count == 0
    assert not server.failed


def test_a_server_reports_that_its_listener_failed(serve, caplog):
    server, listener = serve(hello)
    listener.end()
    server.wait_for_end()
    assert server.failed
    assert "the listener failed" in caplog.text
