"""Two gateways behind one port: the dispatcher passes connections on, Caddy copies their bytes."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.relay.crowd import crowd
from benchmarks.relay.jobs import Publisher
from benchmarks.relay.rows import deliver, jobs_of, join_each
from benchmarks.system import client, embedded_store, free_port, listens, process, program, wait_until
from cto_worker.observability.system_counts import running_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Start = Callable[[dict[str, str], int], AbstractContextManager[list[int]]]

GATEWAYS, CLIENTS, EVENTS, ROUNDS, PER_S = 2, 1_000, 30, 5, 200
# The cheapest configuration: no access log, no admin interface, no stickiness (WebSockets need none).
CADDYFILE = """
{{
	admin off
	auto_https off
}}
:{port} {{
	reverse_proxy {gateways} {{
		flush_interval -1
	}}
}}
"""


def compare() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the CPU of a delivery in µs, and the latency's median and p99 in ms: dispatcher, Caddy."""
    return _measure(_dispatched), _measure(_proxied)


def _measure(start: Start) -> tuple[float, ...]:
    with embedded_store() as environment, client(environment) as store:
        port = free_port()
        with start(environment, port) as pids:
            wait_until(lambda: len(running_processes(store, "gateway")) == GATEWAYS and listens(port))
            with crowd(port) as clients:
                users = join_each(clients, CLIENTS)
                publisher = Publisher(store)
                _, *figures = (  # the first warms up
                    deliver(clients, publisher, jobs_of(users, length), length, pids)
                    for length in [5] + [EVENTS] * ROUNDS
                )
                clients.reset(latencies=True)
                publisher.publish_at(PER_S, jobs_of(users, 2))
                latencies_ms = clients.arrival(2).latencies_ms
                cpu_us = median(cost for _, cost in figures)
                return cpu_us, median(latencies_ms), quantiles(latencies_ms, n=100)[98]


@contextmanager
def _dispatched(environment: dict[str, str], port: int) -> Iterator[list[int]]:
    environment = environment | {"CTO_PORT": str(port)}
    with ExitStack() as stack:
        commands = [["-m", "api.server.dispatcher"]]
        commands += [["-m", "api.wsgi", "--number", str(number)] for number in range(1, GATEWAYS + 1)]
        yield [stack.enter_context(process(command, environment)).pid for command in commands]


@contextmanager
def _proxied(environment: dict[str, str], port: int) -> Iterator[list[int]]:
    with ExitStack() as stack:
        ports = [free_port() for _ in range(GATEWAYS)]
        servers = [
            stack.enter_context(process(["-m", "api.wsgi"], environment | {"CTO_PORT": str(each)}))
            for each in ports
        ]
        file = Path(environment["CTO_DATA_DIR"]) / "Caddyfile"
        file.write_text(CADDYFILE.format(port=port, gateways=" ".join(f"127.0.0.1:{each}" for each in ports)))
        caddy = shutil.which("caddy", path=Path(sys.executable).parent)
        command = [str(caddy), "run", "--config", str(file), "--adapter", "caddyfile"]
        servers.append(stack.enter_context(program(command, "caddy", environment)))
        yield [server.pid for server in servers]
