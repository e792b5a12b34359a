"""The time from the POST of a job until a Socket.IO client has its first event, and that of the worker."""

from __future__ import annotations

import json
import re
import select
import socket
import time

from benchmarks.relay.servers import gateway
from benchmarks.relay.socketio_client import Buffer, Client, Script
from benchmarks.system import BODY, embedded_store
from benchmarks.worker import worker_on

JOBS, WARM_UP = 300, 30
PAUSE_S = 0.02  # between the end of a job and the next POST
TIMEOUT_S = 10
_SEQ = re.compile(rb'"seq":(\d+),')
_ENDED = b'"status":"completed"'


def post_to_events() -> tuple[list[float], list[float]]:
    """Return the ms from each POST until the client has event 1, and until it has the worker's first event.

    One job runs at a time.
    """
    with embedded_store() as environment, worker_on(environment), gateway(environment) as server:
        listener = _Listener(server.port)
        times = [listener.post() for _ in range(WARM_UP + JOBS)]
    first_ms, began_ms = zip(*times[WARM_UP:], strict=True)
    return list(first_ms), list(began_ms)


class _Listener:
    """A client in its user's room, and a connection for its POSTs."""

    def __init__(self, port: int) -> None:
        join = json.dumps(["join_room", f"user_{BODY['userId']}"])
        self._client = Client(Buffer(), Script((join,)))
        self._client.connect(port)
        select.select([], [self._client.socket], [], TIMEOUT_S)
        self._client.connected(port)
        while not self._client.ready:
            self._read()
        self._rest = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._rest.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = json.dumps(BODY).encode()
        self._request = (
            b"POST /api/cto/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )

    def post(self) -> tuple[float, float]:
        """Send a job, and read its events to the last. Returns the ms until the first, and the second."""
        time.sleep(PAUSE_S)
        arrived_s: dict[int, float] = {}
        received = b""
        start_s = time.perf_counter()
        self._rest.sendall(self._request)
        while _ENDED not in received:
            received += self._read()
            now_s = time.perf_counter()
            for seq in _SEQ.findall(received):
                arrived_s.setdefault(int(seq), now_s)
        if not self._rest.recv(65_536).startswith(b"HTTP/1.1 202 "):
            raise RuntimeError("a job was not accepted")
        return (arrived_s[1] - start_s) * 1000, (arrived_s[2] - start_s) * 1000

    def _read(self) -> bytes:
        readable, _, _ = select.select([self._client.socket], [], [], TIMEOUT_S)
        if not readable:
            raise TimeoutError("no event arrived in time")
        return self._client.last_read(self._client.receive())
