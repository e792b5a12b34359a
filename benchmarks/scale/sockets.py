"""The cost of more clients of one gateway."""

from __future__ import annotations

from statistics import median, quantiles

from benchmarks.relay.crowd import crowd
from benchmarks.relay.jobs import Publisher
from benchmarks.relay.rows import deliver, jobs_of, join_each
from benchmarks.relay.servers import gateway
from benchmarks.scale.curves import Panel, Study
from benchmarks.system import client, embedded_store

CLIENTS = [10, 100, 1_000, 5_000]
PER_S, EVENTS = 200, 1_000  # rate, and total
BURST = 20_000  # deliveries


def study() -> Study:
    """Measure latency, memory and the CPU of a delivery with 10 to 5,000 clients, each in its own room."""
    figures = [_measure(count) for count in CLIENTS]
    medians, p99s, memory_mb, costs = (list(column) for column in zip(*figures, strict=True))
    return Study(
        "Clients of one gateway",
        "clients",
        CLIENTS,
        [
            Panel(f"ms from PUBLISH to the client, {PER_S} events/s", {"median": medians, "p99": p99s}),
            Panel("MB of memory", {"measured": memory_mb}),
            Panel("µs of CPU for a delivery, in a burst", {"measured": costs}),
        ],
        log=True,
    )


def _measure(count: int) -> tuple[float, float, float, float]:
    with embedded_store() as environment, client(environment) as store, gateway(environment) as server:
        publisher = Publisher(store)
        with crowd(server.port) as clients:
            users = join_each(clients, count)
            each = max(2, BURST // count)
            costs = [
                deliver(clients, publisher, jobs_of(users, each), each, [server.pid])[1] for _ in range(3)
            ]
            length = max(2, EVENTS // count)
            clients.reset(latencies=True)
            publisher.publish_at(PER_S, jobs_of(users, length))
            found = clients.arrival(length).latencies_ms
            return median(found), quantiles(found, n=100)[98], server.memory_kb / 1024, median(costs)
