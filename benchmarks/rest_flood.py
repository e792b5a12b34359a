"""One user who sends thousands of REST requests at once, and what others wait meanwhile.

``python -m benchmarks.rest_flood <port> <token> <requests> <rounds>`` is that user, in a process of its own.
"""

from __future__ import annotations

import json
import re
import resource
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

from api.auth.policy import Role
from api.auth.tokens import issue
from benchmarks.system import embedded_store, free_port, listens, process, wait_until
from cto_worker.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "a secret that is long enough for every algorithm, and for benchmarks only"
PATH = "/api/cto/jobs"
LIMIT = 600  # a minute: the default
OTHERS, EVERY_S = 20, 0.2  # 300 requests a minute of each: half of what the default allows
_STATUS = re.compile(rb"HTTP/1.1 (\d+) ")


@dataclass
class Waited:
    """What others have waited, in ms: on a connection that is kept, and on a new one each time."""

    kept: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)


@dataclass
class Flooded:
    """What became of a flood, and of others beside it."""

    statuses: Counter[int]
    passed: int  # of the flood's requests
    seconds: float
    alone: Waited
    beside: Waited
    log_bytes: int


def flood(count: int = 2_000, rounds: int = 6, quiet_s: float = 4.0) -> Flooded:
    """Flood a gateway with default limits. Raises unless every request of others is answered 200."""
    with embedded_store() as environment, serving(environment) as (settings, port, log):
        alone = Waited()
        with others(settings, port, alone):
            time.sleep(quiet_s)
        before, beside = log.stat().st_size, Waited()
        token = issue(settings, "alice", Role.USER, 3_600)
        command = [sys.executable, "-m", "benchmarks.rest_flood", str(port), token, str(count), str(rounds)]
        with others(settings, port, beside):
            begun_s = time.perf_counter()
            done = subprocess.run(command, capture_output=True, check=True)
            seconds = time.perf_counter() - begun_s
        statuses = Counter({int(status): many for status, many in json.loads(done.stdout).items()})
        return Flooded(statuses, statuses[200], seconds, alone, beside, log.stat().st_size - before)


@contextmanager
def serving(environment: dict[str, str]):
    """Run a gateway that wants tokens; give its settings, its port and its log."""
    port = free_port()
    environment |= {"CTO_AUTH": "required", "CTO_JWT_SECRET": SECRET, "CTO_PORT": str(port)}
    settings = Settings.from_env(environment)
    with process(["-m", "api.wsgi"], environment):
        wait_until(lambda: listens(port))
        yield settings, port, settings.data_dir / "api.wsgi.log"


@contextmanager
def others(settings: Settings, port: int, waited: Waited) -> Iterator[None]:
    """Send other users' requests, each at a steady rate, for the length of the block."""
    ends, failures = threading.Event(), []

    def ask(number: int) -> None:
        request = request_of(issue(settings, f"user-{number}", Role.USER, 3_600))
        kept = number % 2 == 0
        connection = connect(port) if kept else None
        ends.wait(EVERY_S * number / OTHERS)
        while not ends.wait(EVERY_S):
            begun_s = time.perf_counter()
            asked = connection or connect(port)
            status = answer(asked, request)
            (waited.kept if kept else waited.new).append((time.perf_counter() - begun_s) * 1_000)
            if status != 200:
                failures.append(status)
            if not kept:
                asked.close()

    threads = [threading.Thread(target=ask, args=[number]) for number in range(OTHERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    if failures:
        raise RuntimeError(f"others were answered {Counter(failures)}")


def request_of(token: str) -> bytes:
    """A whole request."""
    return f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def connect(port: int) -> socket.socket:
    """Connect to the gateway."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def answer(connection: socket.socket, request: bytes) -> int:
    """Send a request whose answer fits one read; return its status, or 0."""
    connection.sendall(request)
    found = _STATUS.match(connection.recv(65_536))
    return int(found[1]) if found else 0


def p50_p99_max(waited_ms: list[float]) -> tuple[float, float, float]:
    """The median, the 99th percentile and the longest."""
    percentiles = quantiles(waited_ms, n=100, method="inclusive")
    return percentiles[49], percentiles[98], max(waited_ms)


def send_at_once(port: int, request: bytes, count: int) -> Counter[int]:
    """Open so many connections, send a request on each at the same time, and count the answers."""
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
    """Flood, and print what the answers were."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    statuses: Counter[int] = Counter()
    for _ in range(int(rounds)):
        statuses += send_at_once(int(port), request_of(token), int(count))
    print(json.dumps(statuses))


if __name__ == "__main__":
    main(*sys.argv[1:])
