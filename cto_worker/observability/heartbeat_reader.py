"""Reads the heartbeats of all processes: the sums of their counts, and the running processes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cto_worker.observability.process_heartbeat import ENDED
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

SILENCE_MS = 15_000  # after this time without a heartbeat a process counts as dead


@dataclass(frozen=True, slots=True)
class Process:
    """A process as its last heartbeat describes it."""

    kind: str  # "worker", "gateway", or "park" of `cto park`
    name: str  # host name and process id
    gauges: Mapping[str, float]  # current values by name
    ended: bool = False  # whether it has shut down; otherwise it runs, or was killed
    version: str = ""  # of the project; empty if the process is of a release that does not report it
    age_ms: int = 0  # of the heartbeat
    market: str = ""  # of a worker, as its market describes itself; empty if its release does not report it
    money: str = ""  # of this market, a value of :class:`cto_worker.domain.market_port.Money`; or empty


@dataclass(frozen=True, slots=True)
class SystemCounts:
    """The sums of the counters of all processes, and the processes themselves."""

    counts: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]  # by sample name and labels
    processes: list[Process]  # running: with a heartbeat in the last 15 s, and not shut down
    lost: list[Process]  # silent for less than a day, not shut down, and not replaced by one of the same name


def read_system_counts(store: Redis) -> SystemCounts:
    """Return the sums and the processes of the whole system. Raises ``RedisError``."""
    with store.pipeline(transaction=False) as pipeline:
        pipeline.hgetall(keys.COUNTS)
        pipeline.hgetall(keys.PROCESSES)
        pipeline.time()
        counts, entries, now = pipeline.execute()
    recent, lost = _recent_and_lost(entries, now)
    return SystemCounts(
        {_key(field): float(value) for field, value in counts.items()}, _not_ended(recent), lost
    )


def read_processes(store: Redis) -> list[Process]:
    """Return the running processes, as in :class:`SystemCounts`. Raises ``RedisError``."""
    return _not_ended(_read_recent(store))


def running_processes(store: Redis, kind: str) -> list[str]:
    """Return the names of the running processes of a kind: ``worker`` or ``gateway``.

    Raises ``RedisError``.
    """
    return sorted(process.name for process in read_processes(store) if process.kind == kind)


def worker_markets(store: Redis) -> set[str]:
    """Return the markets of the running workers, as they describe themselves."""
    return {process.market for process in read_processes(store) if process.market}


def recent_processes(store: Redis, kind: str) -> list[str]:
    """Return the names of a kind's processes with a heartbeat in the last 15 s, also of those that ended.

    Raises ``RedisError``.
    """
    return sorted(process.name for process in _read_recent(store) if process.kind == kind)


def _read_recent(store: Redis) -> list[Process]:
    with store.pipeline(transaction=False) as pipeline:
        pipeline.hgetall(keys.PROCESSES)
        pipeline.time()
        return _recent_and_lost(*pipeline.execute())[0]


def _not_ended(processes: list[Process]) -> list[Process]:
    return [process for process in processes if not process.ended]


def _recent_and_lost(
    entries: Mapping[bytes, bytes], now: tuple[int, int]
) -> tuple[list[Process], list[Process]]:
    """Return the processes with a heartbeat in the last 15 s, and the lost ones as in :class:`SystemCounts`.

    ``now`` is in seconds and microseconds.
    """
    recent: dict[tuple[str, str], Process] = {}
    silent: dict[tuple[str, str], Process] = {}
    processes = [_process(entry, now[0] * 1_000 + now[1] // 1_000) for entry in entries.values()]
    # The newest last: a container that starts again has the name of the process before it.
    for process in sorted(processes, key=lambda process: -process.age_ms):
        (recent if process.age_ms <= SILENCE_MS else silent)[process.kind, process.name] = process
    lost = [process for name, process in silent.items() if not process.ended and name not in recent]
    return list(recent.values()), lost


def _process(entry: bytes, now_ms: int) -> Process:
    sent_ms, _, text = entry.split(b" ", 2)
    content: dict[str, Any] = json.loads(text)
    gauges = content["gauges"]
    ended = bool(gauges.pop(ENDED, 0))
    version, market, money = (content.get(name, "") for name in ("version", "market", "money"))
    return Process(
        content["kind"], content["name"], gauges, ended, version, now_ms - int(sent_ms), market, money
    )


def _key(field: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    name, *labels = json.loads(field)
    return name, tuple((label, value) for label, value in labels)
