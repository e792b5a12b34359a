"""The latency of other users while one user sends thousands of REST requests at once.

``python -m benchmarks.rest_flood <port> <token> <requests> <rounds>`` is the flooding user, as a process.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING

from api.auth.caller import Role
from api.auth.token_issuer import issue
from benchmarks.system import allow_descriptors, embedded_store, free_port, listens, process, wait_until
from cto_worker.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "a secret that is long enough for every algorithm, and for benchmarks only"
PATH = "/api/cto/jobs"
LIMIT = 600  # requests per minute, the default
OTHERS, EVERY_S = 20, 0.2  # other users; each sends 300 requests per minute, half of the default limit
_STATUS = re.compile(rb"HTTP/1.1 (\d+) ")


@dataclass
class Latencies:
    """Latencies of other users' requests, in ms: on kept connections, and on new ones.

    The kept connections, and half of the new ones, are from the address of the flooding user.
    """

    kept: list[float] = field(default_factory=list)
    new_same_address: list[float] = field(default_factory=list)
    new_other_address: list[float] = field(default_factory=list)


@dataclass
class FloodResult:
    """The responses to a flood, and the latencies of other users."""

    statuses: Counter[int]
    passed: int  # flood requests with status 200
    seconds: float
    before: Latencies
    during: Latencies
    log_bytes: int


def flood(count: int = 2_000, rounds: int = 6, quiet_s: float = 4.0) -> FloodResult:
    """Flood a gateway with default limits. Raises if another user gets a status other than 200."""
    with embedded_store() as environment, serving(environment) as (settings, port, log):
        before, during = Latencies(), Latencies()
        with others(settings, port, before):
            time.sleep(quiet_s)
        log_bytes = log.stat().st_size
        token = issue(settings, "alice", Role.USER, 3_600)
        command = [sys.executable, "-m", "benchmarks.rest_flood", str(port), token, str(count), str(rounds)]
        with others(settings, port, during):
            start_s = time.perf_counter()
            done = subprocess.run(command, capture_output=True, check=True)
            seconds = time.perf_counter() - start_s
        statuses = Counter({int(status): number for status, number in json.loads(done.stdout).items()})
        return FloodResult(statuses, statuses[200], seconds, before, during, log.stat().st_size - log_bytes)


@contextmanager
def serving(environment: dict[str, str]):
    """Run a gateway that requires tokens. Yields its settings, its port and its log file."""
    port = free_port()
    environment |= {"CTO_AUTH": "required", "CTO_JWT_SECRET": SECRET, "CTO_PORT": str(port)}
    settings = Settings.from_env(environment)
    with process(["-m", "api.wsgi"], environment):
        wait_until(lambda: listens(port))
        yield settings, port, settings.data_dir / "api.wsgi.log"


@contextmanager
def others(settings: Settings, port: int, latencies: Latencies) -> Iterator[None]:
    """Send other users' requests at a steady rate while the block runs."""
    ended, failures = threading.Event(), []

    def send_requests(number: int) -> None:
        request = request_of(issue(settings, f"user-{number}", Role.USER, 3_600))
        kept, same = number % 2 == 0, number % 4 == 1
        connection = connect(port) if kept else None
        measured = latencies.new_same_address if same else latencies.new_other_address
        ended.wait(EVERY_S * number / OTHERS)
        while not ended.wait(EVERY_S):
            start_s = time.perf_counter()
            used = connection or connect(port, "127.0.0.1" if same else "127.0.0.2")
            status = send(used, request)
            (latencies.kept if kept else measured).append((time.perf_counter() - start_s) * 1_000)
            if status != 200:
                failures.append(status)
            if not kept:
                used.close()

    threads = [threading.Thread(target=send_requests, args=[number]) for number in range(OTHERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    if failures:
        raise RuntimeError(f"other users got these statuses: {Counter(failures)}")


def request_of(token: str) -> bytes:
    """Return a complete HTTP request."""
    return f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    """Connect to the gateway from a loopback address."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(address, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(connection: socket.socket, request: bytes) -> int:
    """Send a request whose response fits one read. Returns the status, or 0."""
    connection.sendall(request)
    found = _STATUS.match(connection.recv(65_536))
    return int(found[1]) if found else 0


def p50_p99_max(latencies_ms: list[float]) -> tuple[float, float, float]:
    """Return the median, the 99th percentile and the maximum."""
    percentiles = quantiles(latencies_ms, n=100, method="inclusive")
    return percentiles[49], percentiles[98], max(latencies_ms)


def send_at_once(port: int, request: bytes, count: int) -> Counter[int]:
    """Open ``count`` connections, send a request on all of them at once, and count the response statuses."""
    selector, statuses = selectors.DefaultSelector(), Counter()
    connections = [connect(port) for _ in range(count)]
    for connection in connections:
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
    for connection in connections:
        connection.send(request)
    while selector.get_map():
        for key, _ in selector.select(60):
            selector.unregister(key.fileobj)
            statuses[_status(key.fileobj)] += 1
            key.fileobj.close()
    return statuses


def _status(connection: socket.socket) -> int:
    try:
        found = _STATUS.match(connection.recv(65_536))
    except OSError:
        found = None
    return int(found[1]) if found else 0


def main(port: str, token: str, count: str, rounds: str) -> None:
    """Flood the gateway, and print the response statuses."""
    allow_descriptors()
    statuses: Counter[int] = Counter()
    for _ in range(int(rounds)):
        statuses += send_at_once(int(port), request_of(token), int(count))
    print(json.dumps(statuses))


if __name__ == "__main__":
    main(*sys.argv[1:])
