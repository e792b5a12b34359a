"""Two gateways behind one port: the dispatcher passes connections on, Caddy copies their bytes."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.relay.rows import jobs_of
from benchmarks.relay.several_gateways import bursts, dispatched
from benchmarks.system import free_port, process, program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.relay.several_gateways import Start

GATEWAYS, PER_S = 2, 200
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
    return _measure(dispatched), _measure(_proxied)


def _measure(start: Start) -> tuple[float, ...]:
    with bursts(start, GATEWAYS) as measured:
        measured.crowd.reset(latencies=True)
        measured.publisher.publish_at(PER_S, jobs_of(measured.users, 2))
        latencies_ms = measured.crowd.arrival(2).latencies_ms
        cpu_us = median(cost for _, cost in measured.figures)
        return cpu_us, median(latencies_ms), quantiles(latencies_ms, n=100)[98]


@contextmanager
def _proxied(environment: dict[str, str], port: int, count: int) -> Iterator[list[int]]:
    with ExitStack() as stack:
        ports = [free_port() for _ in range(count)]
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
