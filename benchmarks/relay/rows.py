"""The measurements. All servers are measured in the same way: freshly started and warmed up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import cycle
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from benchmarks.relay.attacks import attacks
from benchmarks.relay.crowd import crowd
from benchmarks.relay.jobs import Journaled, Publisher, job, side_by_side
from benchmarks.relay.servers import SERVERS
from benchmarks.relay.socketio_client import Script
from benchmarks.system import client, cpu_s, embedded_store
from benchmarks.table import Comparison, Line, Ratio
from cto_worker.config import Settings
from cto_worker.domain.progress_event import dumps
from cto_worker.store.redis_journal import RedisJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from benchmarks.relay.crowd import Crowd
    from benchmarks.relay.servers import Server
    from benchmarks.table import Row
    from cto_worker.domain.progress_event import ProgressEvent

ROUNDS = 3
BURSTS = 3  # per round; each takes a fraction of a second

Figures = tuple[float, ...]
Targets = tuple[float | None, float | None]  # of the ratio to Node, and of that to Bun


@dataclass(frozen=True, slots=True)
class Scene:
    """One server, its clients, a publisher and a journal."""

    server: Server
    crowd: Crowd
    publisher: Publisher
    journal: RedisJournal

    def deliver(self, events: list[ProgressEvent], each: int) -> Figures:
        """Publish all events at once. Returns deliveries/s, and the CPU of one delivery in µs."""
        return deliver(self.crowd, self.publisher, events, each, [self.server.pid])


def deliver(
    crowd: Crowd, publisher: Publisher, events: list[ProgressEvent], each: int, servers: Sequence[int]
) -> Figures:
    """Do :meth:`Scene.deliver` with the CPU of all servers with these process ids."""
    packed = publisher.packed(events)
    crowd.reset()
    used_s = sum(map(cpu_s, servers))
    start_ns = publisher.publish(packed)
    arrival = crowd.arrival(each)
    used_s = sum(map(cpu_s, servers)) - used_s
    deliveries = each * len(arrival.counts)
    return deliveries / ((arrival.last_ns - start_ns) / 1e9), used_s * 1e6 / deliveries


def burst() -> Iterator[Comparison]:
    """Measure a burst to clients with a room each."""
    clients, length = 1_000, 30

    def measure(scene: Scene) -> Figures:
        users = join_each(scene.crowd, clients)
        scene.deliver(jobs_of(users, 5), 5)
        return _medians(scene.deliver(jobs_of(users, length), length) for _ in range(BURSTS))

    what = f"{clients * length:,} events at once to {clients:,} clients"
    yield from _deliveries(what, _measure_all(measure), at_least=(2.5, 2))


def room() -> Iterator[Comparison]:
    """Measure a burst to one room of all clients."""
    clients, jobs, length = 500, 20, 20

    def measure(scene: Scene) -> Figures:
        user = "crowded"
        scene.crowd.join([_script(user)] * clients)
        scene.deliver(jobs_of([user], length), length)
        return _medians(scene.deliver(jobs_of([user] * jobs, length), jobs * length) for _ in range(BURSTS))

    what = f"{jobs * length} events at once to a room of {clients}"
    yield from _deliveries(what, _measure_all(measure), at_least=(7, 7))


def latency() -> Iterator[Comparison]:
    """Measure the time from PUBLISH to the client's socket, at a low rate."""
    clients, per_s, length = 1_000, 200, 2

    def measure(scene: Scene) -> Figures:
        users = join_each(scene.crowd, clients)
        scene.deliver(jobs_of(users, 5), 5)
        events = jobs_of(users, length)
        scene.crowd.reset(latencies=True)
        scene.publisher.publish_at(per_s, events)
        found = scene.crowd.arrival(length).latencies_ms
        if len(found) != len(events):
            raise RuntimeError(f"only {len(found)} of {len(events)} events contain a send time")
        return median(found), quantiles(found, n=100)[98]

    medians, highest = zip(*_measure_all(measure), strict=True)
    what = f"{per_s} events/s to {clients:,} clients, time until one arrives"
    yield _row(f"{what}: median", medians, "{:.2f}", "ms", at_most=(1, 1))
    yield _row(f"{what}: p99", highest, "{:.2f}", "ms", at_most=(1, 1))


def join() -> Iterator[Comparison]:
    """Measure the cost of a client that joins its room and gets no events."""
    clients, before = 2_000, 300

    def measure(scene: Scene) -> Figures:
        join_each(scene.crowd, before)
        scene.server.rest()
        memory_kb, cpu_s = scene.server.memory_kb, scene.server.cpu_s
        join_each(scene.crowd, clients, first=before)
        joined_s = scene.server.cpu_s
        scene.server.rest()
        return (scene.server.memory_kb - memory_kb) / clients, (joined_s - cpu_s) / clients * 1000

    memory_kb, cpu_ms = zip(*_measure_all(measure), strict=True)
    yield _row("Memory of a client with a room", memory_kb, "{:.1f}", "kB", at_most=(1, 0.5))
    yield _row("CPU of a client that connects and joins", cpu_ms, "{:.2f}", "ms", at_most=(0.9, 2))


def foreign() -> Iterator[Line]:
    """Measure the cost of events without a local subscriber, from the difference of two counts."""
    clients, jobs, length, other_users, window_s = 10, 10, 30, 1_000, 3.0

    def measure(scene: Scene) -> Figures:
        users = join_each(scene.crowd, clients)
        scene.deliver(jobs_of(users, 5), 5)
        _, own_us = scene.deliver(jobs_of(users * jobs, length), jobs * length)

        def cpu_ms(count: int) -> float:
            packed = scene.publisher.packed(jobs_of([f"other{number}" for number in range(count)], length))
            scene.server.rest()
            start_s, cpu_s = time.monotonic(), scene.server.cpu_s
            scene.crowd.reset()
            scene.publisher.publish(packed)
            time.sleep(start_s + window_s - time.monotonic())  # the same duration for both counts
            scene.crowd.arrival(0)
            return (scene.server.cpu_s - cpu_s) * 1000

        few, many = cpu_ms(other_users // 10), cpu_ms(other_users)
        difference = length * other_users * 9 / 10
        return max(0.0, many - few) / difference * 1000, own_us

    for name, (elsewhere, own) in zip(SERVERS, _measure_all(measure), strict=True):
        what = f"1,000 events for users elsewhere / here: CPU, {name}"
        at_most = 0.01 if name == "gateway" else None
        yield Line(what, f"{elsewhere:.2f} / {own:.1f} ms", elsewhere / own, at_most=at_most)


def resume() -> Iterator[Comparison]:
    """Measure the reconnection of all clients after missed events. One round, because it takes minutes."""
    clients, missed = 5_000, 20
    at_once = 500  # Node's backlog

    def measure(scene: Scene) -> Figures:
        users = join_each(scene.crowd, clients)
        scene.crowd.reset()
        jobs = [Journaled(scene.journal, user) for user in users]
        scene.crowd.arrival(1)
        sessions = scene.crowd.leave()
        scene.server.rest()
        for journaled in jobs:
            journaled.append(missed)
        scene.server.rest()
        if scene.server.recovers:
            scripts = [
                Script(auth=dumps({"pid": pid, "offset": offset}).decode()) for pid, offset in sessions
            ]
        else:
            scripts = [
                Script(
                    (
                        _packet("resume", {"jobId": job.job_id, "after": 1}),
                        _packet("join_room", f"user_{user}"),
                    )
                )
                for job, user in zip(jobs, users, strict=True)
            ]
        scene.crowd.reset()
        start_ns = time.monotonic_ns()
        scene.crowd.join(scripts, at_once=at_once)
        return ((scene.crowd.arrival(missed).last_ns - start_ns) / 1e9,)

    (seconds,) = zip(*_measure_all(measure, rounds=1, RECOVERY="1"), strict=True)
    what = f"{clients:,} clients reconnect to {missed} events each, time"
    yield _row(what, seconds, "{:.1f}", "s", at_most=(1, 1))


ROWS: dict[str, Callable[[], Iterator[Row]]] = {
    "burst": burst,
    "room": room,
    "latency": latency,
    "join": join,
    "resume": resume,
    "foreign": foreign,
    "attacks": attacks,
}


def _measure_all(measure: Callable[[Scene], Figures], rounds: int = ROUNDS, **settings: str) -> list[Figures]:
    """Return the medians of each server's figures. The servers alternate."""
    measured: dict[str, list[Figures]] = {name: [] for name in SERVERS}
    with embedded_store() as environment, client(environment) as store:
        publisher, journal = Publisher(store), RedisJournal(store, Settings())
        for _ in range(rounds):
            for name, serve in SERVERS.items():
                with serve(environment | settings) as server, crowd(server.port) as clients:
                    measured[name].append(measure(Scene(server, clients, publisher, journal)))
    return [_medians(figures) for figures in measured.values()]


def _medians(rounds: Iterable[Figures]) -> Figures:
    return tuple(median(column) for column in zip(*rounds, strict=True))


def _deliveries(what: str, figures: list[Figures], at_least: Targets) -> Iterator[Comparison]:
    rates, cpu_us = zip(*figures, strict=True)
    yield _row(f"{what}: deliveries/s", rates, "{:,.0f}", at_least=at_least)
    yield _row(f"{what}: CPU of one", cpu_us, "{:.1f}", "µs")


def _row(  # noqa: PLR0913 - the parts of a row
    what: str,
    figures: Figures,
    shown: str,
    unit: str = "",
    *,
    at_least: Targets = (None, None),
    at_most: Targets = (None, None),
) -> Comparison:
    """Return the row of a figure, given for the gateway, Node and Bun. Both targets are ratios to them."""
    ours, *others = figures
    ratios = (Ratio(ours / other, *limits) for other, *limits in zip(others, at_least, at_most, strict=True))
    to_node, to_bun = ratios
    measured = " / ".join(map(shown.format, figures)) + f" {unit}".rstrip()
    return Comparison(what, measured, (to_node, to_bun))


def join_each(clients: Crowd, count: int, first: int = 0, addresses: Sequence[str] = ("",)) -> list[str]:
    """Let ``count`` clients join, each the room of another user. Returns the users.

    The clients use the ``addresses`` in turn.
    """
    users = [f"user{number}" for number in range(first, first + count)]
    clients.join([_script(user, address) for user, address in zip(users, cycle(addresses), strict=False)])
    return users


def _script(user: str, address: str = "") -> Script:
    return Script((_packet("join_room", f"user_{user}"),), address=address)


def _packet(event: str, argument: Any) -> str:
    return dumps([event, argument]).decode()


def jobs_of(users: list[str], length: int) -> list[ProgressEvent]:
    return side_by_side([job(user, length) for user in users])
