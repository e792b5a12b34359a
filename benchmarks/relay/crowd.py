"""Many clients in a process of their own, which costs far less than the server they are connected to."""

from __future__ import annotations

import multiprocessing
import select
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.relay.socketio_client import Buffer, Client, Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

AT_ONCE = 40  # connections being made at a time, unless told otherwise: eventlet lets 50 wait
TIMEOUT_S = 300.0  # Node takes a minute to recover 5,000 connections


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the clients have got since the last reset. Times are of ``time.monotonic_ns``."""

    last_ns: int  # when the last event came
    counts: tuple[int, ...]  # events of each client
    latencies_ms: tuple[float, ...]
    cpu_s: float  # what this crowd itself has used, since it began


class Crowd:
    """The clients, as the benchmark sees them. Every method raises when a client was let down."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def join(self, visits: Sequence[Visit], at_once: int = AT_ONCE) -> float:
        """Connect a client for each visit, and have each greeted; how many seconds that took."""
        return self._ask("join", visits, at_once)

    def leave(self) -> list[tuple[str, str]]:
        """Close every connection; Node's private id and offset of each client, for a recovery."""
        return self._ask("leave")

    def reset(self, *, latencies: bool = False) -> None:
        """Count from zero, and read from then on in each event when it was sent, if that is wanted."""
        self._ask("reset", latencies)

    def arrival(self, each: int) -> Arrival:
        """Wait until every client has got ``each`` events. Raises when one gets more, or fewer for long."""
        arrival: Arrival = self._ask("arrival", each)
        wrong = [count for count in arrival.counts if count != each]
        if wrong:
            raise RuntimeError(f"{len(wrong)} clients did not get {each} events, but {sorted(set(wrong))}")
        return arrival

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        if not self._pipe.poll(TIMEOUT_S + 30):
            raise TimeoutError(f"the clients do not answer {question[0]!r}")
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def crowd(port: int) -> Iterator[Crowd]:
    """Run a crowd of clients of the server on a port of this machine."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_run, args=(theirs, port), name="crowd")
    child.start()
    theirs.close()
    try:
        yield Crowd(ours)
    finally:
        ours.close()
        child.join(10)
        if child.is_alive():
            child.kill()
            child.join()


def _run(pipe: Connection, port: int) -> None:
    _Loop(pipe, port).run()


class _Loop:
    """The crowd's own side: one loop over all sockets and the pipe."""

    def __init__(self, pipe: Connection, port: int) -> None:
        self._pipe = pipe
        self._port = port
        self._buffer = Buffer()
        self._epoll = select.epoll()
        self._epoll.register(pipe.fileno(), select.EPOLLIN)
        self._clients: dict[int, Client] = {}
        self._connecting: set[int] = set()
        self._visits: deque[Visit] = deque()
        self._greeting: set[int] = set()  # those that are on their way in
        self._at_once = 0
        self._total = 0
        self._last_ns = 0
        self._timing = False
        self._latencies_ms: list[float] = []
        self._until: Callable[[], bool] | None = None  # when to answer what has been asked
        self._answer: Callable[[], Any] = lambda: None
        self._deadline = 0.0

    def run(self) -> None:
        try:
            while True:
                self._turn()
        except EOFError:
            return  # the benchmark has what it wants
        except Exception as error:  # noqa: BLE001 - whatever it is, the benchmark must know
            with suppress(BrokenPipeError):
                self._pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))

    def _turn(self) -> None:
        for number, what in self._epoll.poll(1):
            if number == self._pipe.fileno():
                question, *arguments = self._pipe.recv()
                getattr(self, f"_{question}")(*arguments)
            elif number in self._connecting:
                self._connecting.discard(number)
                self._epoll.modify(number, select.EPOLLIN)
                self._clients[number].connected(self._port)
            elif what:
                self._receive(number, self._clients[number])
        while self._visits and len(self._greeting) < self._at_once:
            self._open(self._visits.popleft())
        if self._until and (self._until() or time.monotonic() > self._deadline):
            self._until = None
            self._pipe.send(self._answer())

    def _receive(self, number: int, client: Client) -> None:
        before = client.events
        size = client.receive()
        if client.events != before:
            self._last_ns = time.monotonic_ns()
            self._total += client.events - before
            for sent_ns in client.sent_ns(size) if self._timing else ():
                self._latencies_ms.append((self._last_ns - sent_ns) / 1e6)
        if client.greeted:
            self._greeting.discard(number)

    def _open(self, visit: Visit) -> None:
        client = Client(self._buffer, visit)
        number = client.socket.fileno()
        self._clients[number] = client
        self._connecting.add(number)
        self._greeting.add(number)
        client.connect(self._port)
        self._epoll.register(number, select.EPOLLIN | select.EPOLLOUT)

    def _join(self, visits: Sequence[Visit], at_once: int) -> None:
        begun_s = time.monotonic()
        self._visits.extend(visits)
        self._at_once = at_once
        self._wait(
            lambda: not self._visits and not self._greeting,
            lambda: (
                TimeoutError(f"{len(self._visits)} clients wait, {len(self._greeting)} are on their way in")
                if self._visits or self._greeting
                else time.monotonic() - begun_s
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

    def _reset(self, latencies: bool) -> None:  # noqa: FBT001 - it comes through a pipe
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

    def _wait(self, until: Callable[[], bool], answer: Callable[[], Any]) -> None:
        self._until, self._answer, self._deadline = until, answer, time.monotonic() + TIMEOUT_S
