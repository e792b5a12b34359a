"""The pulse of a process: every two seconds it adds what it has counted to the store, and says that it lives.

So any gateway can tell what all processes have counted together, on however many machines, and what a process
has counted outlives it. What one counts in its last seconds before it is killed is lost.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import RedisError

from cto_worker.domain.events import dumps
from cto_worker.store import keys
from cto_worker.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import CollectorRegistry
    from redis import Redis

log = logging.getLogger(__name__)

BEAT_S = 2.0
SILENCE_MS = 15_000  # a process that has not been heard of for so long is taken for gone
FORGET_MS = 86_400_000  # and one for so long is forgotten: until then a pulse that comes again is known
_ENDED = (
    "ended"  # among the gauges: a process of an earlier version, which reads this too, takes nothing else
)


@dataclass(frozen=True, slots=True)
class Process:
    """One that lives."""

    kind: str  # "worker" or "gateway"
    name: str  # its host and process id
    gauges: Mapping[str, float]  # what it has now, by name
    ended: bool = False  # in order; else it lives, or was killed


@dataclass(frozen=True, slots=True)
class SystemCounts:
    """What all processes have counted, by sample and its labels, and who lives."""

    counts: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
    processes: list[Process]
    lost: list[Process]  # that fell silent in the last day without having ended, and that no other replaces


class ProcessHeartbeat:
    """``gauges`` tells what the process has now, by name."""

    def __init__(
        self, store: Redis, kind: str, registry: CollectorRegistry, gauges: Callable[[], Mapping[str, float]]
    ) -> None:
        self._write = script(store, "pulse")
        self._kind, self._registry, self._gauges = kind, registry, gauges
        self._id, self._name = str(uuid4()), f"{socket.gethostname()}:{os.getpid()}"
        self._told: dict[str, float] = {}  # what the store has of this process
        self._number = 0
        self._unsent: tuple[dict[str, float], list[Any]] | None = None
        self._beating = threading.Lock()
        self._stopped = threading.Event()
        self._ended = False

    def run(self) -> None:
        """Beat until :meth:`stop`."""
        failed = False  # said once, until it succeeds again
        while not self._stopped.is_set():
            try:
                self.beat()
                failed = False
            except RedisError as error:
                log.log(
                    logging.DEBUG if failed else logging.WARNING,
                    "cannot tell yet what was counted: %s",
                    error,
                )
                failed = True
            except Exception:
                log.exception("telling what was counted broke")
            self._stopped.wait(BEAT_S)

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped.set()

    def end(self) -> None:
        """Beat for the last time, and say so: then the process is not missed. Raises ``RedisError``."""
        self.stop()
        self._ended = True
        self.beat()

    def beat(self) -> None:
        """Add what has been counted since the last time. Raises ``RedisError``; then it is added later, once.

        What may have arrived is sent again as it was, with its number, by which the store knows it.
        """
        with self._beating:
            if self._unsent:
                self._send(*self._unsent)
            now = dict(_samples(self._registry))
            grown = {field: value - self._told.get(field, 0.0) for field, value in now.items()}
            gauges = {**self._gauges(), **({_ENDED: 1.0} if self._ended else {})}
            told = {"kind": self._kind, "name": self._name, "gauges": gauges}
            self._number += 1
            words = [word for field, growth in grown.items() if growth for word in (field, growth)]
            self._unsent = now, [self._id, self._number, dumps(told), FORGET_MS, *words]
            self._send(*self._unsent)

    def _send(self, now: dict[str, float], args: list[Any]) -> None:
        self._write(keys=[keys.COUNTS, keys.PROCESSES], args=args)
        self._told, self._unsent = now, None


def read(store: Redis) -> SystemCounts:
    """Return what all processes have told. Raises ``RedisError``."""
    with store.pipeline(transaction=False) as pipeline:
        pipeline.hgetall(keys.COUNTS)
        pipeline.hgetall(keys.PROCESSES)
        pipeline.time()
        counts, processes, (now_s, _) = pipeline.execute()
    alive: dict[tuple[str, str], Process] = {}
    silent: dict[tuple[str, str], Process] = {}
    for told in processes.values():
        at_ms, _, document = told.split(b" ", 2)
        process = _process(json.loads(document))
        heard = now_s * 1_000 - int(at_ms) <= SILENCE_MS
        (alive if heard else silent)[process.kind, process.name] = process
    lost = [one for name, one in silent.items() if not one.ended and name not in alive]
    return SystemCounts(
        {_key(field): float(value) for field, value in counts.items()}, list(alive.values()), lost
    )


def _process(told: dict[str, Any]) -> Process:
    gauges = told["gauges"]
    ended = bool(gauges.pop(_ENDED, 0))
    return Process(told["kind"], told["name"], gauges, ended)


def alive(store: Redis, kind: str) -> list[str]:
    """Return the names of what lives of a kind: ``worker`` or ``gateway``. Raises ``RedisError``."""
    return sorted(process.name for process in read(store).processes if process.kind == kind)


def _samples(registry: CollectorRegistry) -> Iterator[tuple[str, float]]:
    """Name and labels of every sample, as one text, and what it has come to."""
    for family in registry.collect():
        for sample in family.samples:
            yield json.dumps([sample.name, *sorted(sample.labels.items())]), sample.value


def _key(field: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    name, *labels = json.loads(field)
    return name, tuple((label, value) for label, value in labels)
