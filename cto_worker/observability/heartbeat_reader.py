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


@dataclass(frozen=True, slots=True)
class SystemCounts:
    """The sums of the counters of all processes, and the processes themselves."""

    counts: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]  # by sample name and labels
    processes: list[Process]  # running: with a heartbeat in the last 15 s, and not shut down
    ended: list[Process]  # that have shut down in the last 15 s
    lost: list[Process]  # silent for less than a day, not shut down, and not replaced by one of the same name


def read_system_counts(store: Redis) -> SystemCounts:
    """Return the sums and the processes of the whole system. Raises ``RedisError``."""
    with store.pipeline(transaction=False) as pipeline:
        pipeline.hgetall(keys.COUNTS)
        pipeline.hgetall(keys.PROCESSES)
        pipeline.time()
        counts, processes, (now_s, now_us) = pipeline.execute()
    recent: list[Process] = []
    silent: dict[tuple[str, str], Process] = {}
    for entry in processes.values():
        sent_ms, _, content = entry.split(b" ", 2)
        age_ms = now_s * 1_000 + now_us // 1_000 - int(sent_ms)
        process = _process(json.loads(content), age_ms)
        if age_ms <= SILENCE_MS:
            recent.append(process)
        else:
            silent[process.kind, process.name] = process
    replaced = {(process.kind, process.name) for process in recent}
    return SystemCounts(
        counts={_key(field): float(value) for field, value in counts.items()},
        processes=[process for process in recent if not process.ended],
        ended=[process for process in recent if process.ended],
        lost=[process for name, process in silent.items() if not process.ended and name not in replaced],
    )


def _process(content: dict[str, Any], age_ms: int) -> Process:
    gauges = content["gauges"]
    ended = bool(gauges.pop(ENDED, 0))
    return Process(content["kind"], content["name"], gauges, ended, content.get("version", ""), age_ms)


def running_processes(store: Redis, kind: str) -> list[str]:
    """Return the names of the running processes of a kind: ``worker`` or ``gateway``.

    Raises ``RedisError``.
    """
    return sorted({process.name for process in read_system_counts(store).processes if process.kind == kind})


def recent_processes(store: Redis, kind: str) -> list[str]:
    """Return the names of a kind's processes with a heartbeat in the last 15 s, also of those that ended.

    Raises ``RedisError``.
    """
    found = read_system_counts(store)
    return sorted({process.name for process in [*found.processes, *found.ended] if process.kind == kind})


def _key(field: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    name, *labels = json.loads(field)
    return name, tuple((label, value) for label, value in labels)
