"""The heartbeat of a process: every two seconds it adds its new counts to the store, and reports its gauges.

Any process can therefore read the sums of all processes on all machines
(:mod:`cto_worker.observability.heartbeat_reader`). Counts remain after their process has ended.
A killed process loses the counts of its last two seconds.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import RedisError

from cto_worker.domain.progress_event import dumps
from cto_worker.store.script_runner import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import CollectorRegistry
    from redis import Redis

    from cto_worker.domain.market_port import MarketDescription

log = logging.getLogger(__name__)

VERSION = version("cto")
INTERVAL_S = 2.0
FORGET_MS = 86_400_000  # after this time its entry is deleted; before, a repeated heartbeat is recognized
# Counts that are also kept by the minute, for an hour: names of samples, or of one label's value.
BY_MINUTE = re.compile(r'\["cto_(jobs_ended_total|job_seconds_\w+)"|\["cto_phase_seconds_.*\["phase", "1"\]')
ENDED = "ended"  # stored among the gauges, because readers of an earlier release expect no other fields


class ProcessHeartbeat:
    """Sends the heartbeats of this process. ``gauges`` returns its current values by name.

    ``market`` is that of a worker.
    """

    def __init__(
        self,
        store: Redis,
        kind: str,
        registry: CollectorRegistry,
        gauges: Callable[[], Mapping[str, float]],
        market: MarketDescription | None = None,
    ) -> None:
        self._write = Script(store, "heartbeat")
        self._kind, self._registry, self._gauges = kind, registry, gauges
        self._id, self._name = str(uuid4()), f"{socket.gethostname()}:{os.getpid()}"
        self._market = {"market": market.text, "money": market.money} if market else {}
        self._stored: dict[str, float] = {}  # counts that the store has of this process
        self._number = 0
        self._unsent: tuple[dict[str, float], list[Any], dict[str, Any]] | None = None
        self._sending = threading.Lock()
        self._stopped = threading.Event()
        self._ended = False

    def run(self) -> None:
        """Send heartbeats until :meth:`stop`."""
        failed = False  # an outage is logged as a warning once
        while not self._stopped.is_set():
            try:
                self.send()
                failed = False
            except RedisError as error:
                log.log(
                    logging.DEBUG if failed else logging.WARNING,
                    "cannot send the heartbeat, will retry: %s",
                    error,
                )
                failed = True
            except Exception:
                log.exception("the heartbeat failed")
            self._stopped.wait(INTERVAL_S)

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped.set()

    def end(self) -> None:
        """Send the last heartbeat, so that the process does not count as lost. Raises ``RedisError``."""
        self.stop()
        self._ended = True
        self.send()

    def send(self) -> None:
        """Add the counts since the last heartbeat to the store, exactly once.

        Raises ``RedisError``. The next call then repeats the same heartbeat first: its number shows the store
        whether it has arrived before.
        """
        with self._sending:
            if self._unsent:
                self._send(*self._unsent)
            counts = dict(_samples(self._registry))
            growth = {field: value - self._stored.get(field, 0.0) for field, value in counts.items()}
            gauges = {**self._gauges(), **({ENDED: 1.0} if self._ended else {})}
            content = {"kind": self._kind, "name": self._name, "version": VERSION, "gauges": gauges}
            content |= self._market
            self._number += 1
            grown = {field: value for field, value in growth.items() if value}
            by_minute = {field: value for field, value in grown.items() if BY_MINUTE.match(field)}
            pairs = [item for pair in (by_minute | grown).items() for item in pair]
            heartbeat = {"number": self._number, "content": dumps(content), "of_minute": len(by_minute)}
            self._unsent = counts, pairs, heartbeat
            self._send(*self._unsent)

    def _send(self, counts: dict[str, float], growth: list[Any], heartbeat: dict[str, Any]) -> None:
        self._write(growth, id=self._id, forget_ms=FORGET_MS, **heartbeat)
        self._stored, self._unsent = counts, None


def _samples(registry: CollectorRegistry) -> Iterator[tuple[str, float]]:
    """Yield every sample: its name and labels as JSON, and its value."""
    for family in registry.collect():
        for sample in family.samples:
            yield json.dumps([sample.name, *sorted(sample.labels.items())]), sample.value
