"""Many clients in one process, which needs far less CPU than the server."""

from __future__ import annotations

import multiprocessing
import select
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.relay.socketio_client import Buffer, Client, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

AT_ONCE = 40  # default number of concurrent connection attempts; eventlet's backlog is 50
TIMEOUT_S = 300.0  # Node needs a minute to recover 5,000 connections


@dataclass(frozen=True, slots=True)
class Arrival:
    """The events that the clients received since the last reset. Times are of ``time.monotonic_ns``."""

    last_ns: int  # time of the last event
    counts: tuple[int, ...]  # events of each client
    latencies_ms: tuple[float, ...]
    cpu_s: float  # CPU time of this process since its start


class Crowd:
    """The benchmark's interface to the clients. Every method raises if a client failed."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def join(self, scripts: Sequence[Script], at_once: int = AT_ONCE) -> float:
        """Connect a client for each script, and wait until all are ready. Returns the seconds this took."""
        return self._call("join", scripts, at_once)

    def leave(self) -> list[tuple[str, str]]:
        """Close all connections. Returns Node's private id and offset of each client, for recovery."""
        return self._call("leave")

    def reset(self, *, latencies: bool = False) -> None:
        """Reset the counts. With ``latencies``, read the send time from each event from now on."""
        self._call("reset", latencies)

    def arrival(self, each: int) -> Arrival:
        """Wait until every client received ``each`` events. Raises if a client gets more or fewer."""
        arrival: Arrival = self._call("arrival", each)
        wrong = [count for count in arrival.counts if count != each]
        if wrong:
            raise RuntimeError(f"{len(wrong)} clients got {sorted(set(wrong))} events instead of {each}")
        return arrival

    def _call(self, *command: Any) -> Any:
        self._pipe.send(command)
        if not self._pipe.poll(TIMEOUT_S + 30):
            raise TimeoutError(f"the clients did not complete {command[0]!r}")
        result = self._pipe.recv()
        if isinstance(result, Exception):
            raise result
        return result


@contextmanager
def crowd(port: int) -> Iterator[Crowd]:
    """Run clients of the server on a port of this machine while the block runs."""
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    child = context.Process(target=_run, args=(child_end, port), name="crowd")
    child.start()
    child_end.close()
    try:
        yield Crowd(parent_end)
    finally:
        parent_end.close()
        child.join(10)
        if child.is_alive():
            child.kill()
            child.join()


def _run(pipe: Connection, port: int) -> None:
    _Loop(pipe, port).run()


class _Loop:
    """The process of the clients: one loop over all sockets and the pipe."""

    def __init__(self, pipe: Connection, port: int) -> None:
        self._pipe = pipe
        self._port = port
        self._buffer = Buffer()
        self._epoll = select.epoll()
        self._epoll.register(pipe.fileno(), select.EPOLLIN)
        self._clients: dict[int, Client] = {}
        self._connecting: set[int] = set()
        self._scripts: deque[Script] = deque()
        self._joining: set[int] = set()  # clients that are not ready yet
        self._at_once = 0
        self._total = 0
        self._last_ns = 0
        self._timing = False
        self._latencies_ms: list[float] = []
        self._until: Callable[[], bool] | None = None  # condition of the result of the current command
        self._result: Callable[[], Any] = lambda: None
        self._deadline = 0.0

    def run(self) -> None:
        try:
            while True:
                self._run_once()
        except EOFError:
            return  # the benchmark has closed the pipe
        except Exception as error:  # noqa: BLE001 - the benchmark reports every error
            with suppress(BrokenPipeError):
                self._pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))

    def _run_once(self) -> None:
        for number, events in self._epoll.poll(1):
            if number == self._pipe.fileno():
                command, *arguments = self._pipe.recv()
                getattr(self, f"_{command}")(*arguments)
            elif number in self._connecting:
                self._connecting.discard(number)
                self._epoll.modify(number, select.EPOLLIN)
                self._clients[number].connected(self._port)
            elif events:
                self._receive(number, self._clients[number])
        while self._scripts and len(self._joining) < self._at_once:
            self._connect(self._scripts.popleft())
        if self._until and (self._until() or time.monotonic() > self._deadline):
            self._until = None
            self._pipe.send(self._result())

    def _receive(self, number: int, client: Client) -> None:
        before = client.events
        size = client.receive()
        if client.events != before:
            self._last_ns = time.monotonic_ns()
            self._total += client.events - before
            for sent_ns in client.sent_ns(size) if self._timing else ():
                self._latencies_ms.append((self._last_ns - sent_ns) / 1e6)
        if client.ready:
            self._joining.discard(number)

    def _connect(self, script: Script) -> None:
        client = Client(self._buffer, script)
        number = client.socket.fileno()
        self._clients[number] = client
        self._connecting.add(number)
        self._joining.add(number)
        client.connect(self._port)
        self._epoll.register(number, select.EPOLLIN | select.EPOLLOUT)

    def _join(self, scripts: Sequence[Script], at_once: int) -> None:
        start_s = time.monotonic()
        self._scripts.extend(scripts)
        self._at_once = at_once
        self._wait(
            lambda: not self._scripts and not self._joining,
            lambda: (
                TimeoutError(
                    f"{len(self._scripts)} clients are not connected, {len(self._joining)} are not ready"
                )
                if self._scripts or self._joining
                else time.monotonic() - start_s
            ),
        )

    def _leave(self) -> None:
        left = []
        for number, client in self._clients.items():
            self._epoll.unregister(number)
            client.socket.close()
            left.append((client.pid, client.offset))
        self._clients.clear()
        self._pipe.send(left)

    def _reset(self, latencies: bool) -> None:  # noqa: FBT001 - called with the arguments from the pipe
        self._timing = latencies
        for client in self._clients.values():
            client.events = 0
        self._total = self._last_ns = 0
        self._latencies_ms.clear()
        self._pipe.send(None)

    def _arrival(self, each: int) -> None:
        expected = each * len(self._clients)
        self._wait(
            lambda: self._total >= expected,
            lambda: Arrival(
                self._last_ns,
                tuple(client.events for client in self._clients.values()),
                tuple(self._latencies_ms),
                time.process_time(),
            ),
        )

    def _wait(self, until: Callable[[], bool], result: Callable[[], Any]) -> None:
        self._until, self._result, self._deadline = until, result, time.monotonic() + TIMEOUT_S
