"""The cost of several gateways behind one address of one machine."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.relay.crowd import crowd
from benchmarks.relay.jobs import Publisher
from benchmarks.relay.rows import deliver, jobs_of, join_each
from benchmarks.scale.curves import Panel, Study
from benchmarks.system import client, embedded_store, free_port, process, wait_until
from cto_worker.observability.system_counts import running_processes

if TYPE_CHECKING:
    from collections.abc import Iterator

GATEWAYS = [1, 2, 4]
CLIENTS, EVENTS, ROUNDS = 1_000, 30, 5


def study() -> Study:
    """Measure a burst to a thousand clients of 1 to 4 gateways."""
    rates, costs = zip(*(_burst(number) for number in GATEWAYS), strict=True)
    return Study(
        "Gateways",
        "gateways",
        GATEWAYS,
        [
            Panel("deliveries/s, all together", {"measured": list(rates)}),
            Panel("µs of CPU for a delivery, all together", {"measured": list(costs)}),
        ],
    )


def _burst(count: int) -> tuple[float, float]:
    with embedded_store() as environment, client(environment) as store:
        port = free_port()
        with _gateways(environment | {"CTO_PORT": str(port)}, count) as pids:
            wait_until(lambda: len(running_processes(store, "gateway")) == count)
            with crowd(port) as clients:
                users = join_each(clients, CLIENTS)
                publisher = Publisher(store)
                _, *figures = (  # the first warms up
                    deliver(clients, publisher, jobs_of(users, length), length, pids)
                    for length in [5] + [EVENTS] * ROUNDS
                )
                rates, costs = zip(*figures, strict=True)
                return median(rates), median(costs)


@contextmanager
def _gateways(environment: dict[str, str], count: int) -> Iterator[list[int]]:
    with ExitStack() as stack:
        stack.enter_context(process(["-m", "api.server.dispatcher"], environment))
        numbers = [str(number) for number in range(1, count + 1)]
        commands = [["-m", "api.wsgi", "--number", number] for number in numbers]
        yield [stack.enter_context(process(command, environment)).pid for command in commands]
