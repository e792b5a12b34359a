"""Bursts to a thousand clients of several gateways behind one port."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.relay.crowd import crowd
from benchmarks.relay.jobs import Publisher
from benchmarks.relay.rows import deliver, jobs_of, join_each
from benchmarks.system import client, embedded_store, free_port, listens, process, wait_until
from cto_worker.observability.heartbeat_reader import running_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.relay.crowd import Crowd
    from benchmarks.relay.rows import Figures

    # Starts gateways with an environment, on a port, of this number. Yields the ids of all server processes.
    Start = Callable[[dict[str, str], int, int], AbstractContextManager[list[int]]]

CLIENTS, EVENTS, ROUNDS = 1_000, 30, 5


@dataclass(frozen=True, slots=True)
class Bursts:
    """The clients, each with a user of its own, and the figures of each burst to them."""

    crowd: Crowd
    users: list[str]
    publisher: Publisher
    figures: Sequence[Figures]  # as of :func:`~benchmarks.relay.rows.deliver`


@contextmanager
def bursts(start: Start, count: int) -> Iterator[Bursts]:
    """Measure bursts to clients of ``count`` gateways. They run as long as the block."""
    with embedded_store() as environment, client(environment) as store:
        port = free_port()
        with start(environment, port, count) as pids:
            wait_until(lambda: len(running_processes(store, "gateway")) == count and listens(port))
            with crowd(port) as clients:
                users = join_each(clients, CLIENTS)
                publisher = Publisher(store)
                _, *figures = (  # the first warms up
                    deliver(clients, publisher, jobs_of(users, length), length, pids)
                    for length in [5] + [EVENTS] * ROUNDS
                )
                yield Bursts(clients, users, publisher, figures)


@contextmanager
def dispatched(environment: dict[str, str], port: int, count: int) -> Iterator[list[int]]:
    """Run a dispatcher, and gateways that it hands connections over to. Yields their process ids."""
    environment = environment | {"CTO_PORT": str(port)}
    with ExitStack() as stack:
        commands = [["-m", "api.server.dispatcher"]]
        commands += [["-m", "api.wsgi", "--number", str(number)] for number in range(1, count + 1)]
        yield [stack.enter_context(process(command, environment)).pid for command in commands]
