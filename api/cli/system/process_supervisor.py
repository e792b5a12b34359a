"""A supervisor: starts processes in order, shows their output, restarts them, and stops all at the end.

honcho, whose parser reads the Procfile, stops all processes when one dies (docs/decisions/0002).
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from api.cli.system.process_output import SUPERVISOR, ProcessOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

TICK_S = 0.1
FIRST_RESTART_S, LONGEST_RESTART_S = 0.5, 10.0
STEADY_S = 30.0  # a process that ran for this long is restarted with the shortest delay
STOP_S = 15.0  # from SIGTERM to SIGKILL
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Spec:
    """A process to keep running. The next process starts when ``ready`` returns true."""

    name: str
    command: Sequence[str]
    ready: Callable[[], bool] = lambda: True
    needed: bool = False  # by later processes: it is stopped after them


@dataclass(slots=True)
class _Child:
    spec: Spec
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    start_at_s: float = 0.0
    delay_s: float = FIRST_RESTART_S
    partial: bytes = b""


@dataclass(slots=True)
class Supervisor:
    """Keeps processes running until :meth:`stop`, or until one of them rejects its settings.

    SIGINT and SIGTERM call :meth:`stop`. Each process leads a session, so Ctrl-C reaches only the supervisor,
    and the children of a process end with it. The first process, and those that are ``needed``, are stopped
    last. If the supervisor is killed, the kernel stops the processes (on Linux; elsewhere they continue).
    """

    specs: Sequence[Spec]
    environ: Mapping[str, str]
    out: IO[str] = field(default_factory=lambda: sys.stdout)
    every_tick: Callable[[], None] = lambda: None
    may_start: Callable[[], bool] = lambda: True  # called before the first start of each process
    as_line: Callable[[str, str], str] | None = None  # see ProcessOutput
    quiet: bool = False  # show only warnings and errors of the processes
    _output: ProcessOutput = field(init=False)
    _children: list[_Child] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _stopping: bool = False
    _exit_status: int = 0

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.specs]
        self._output = ProcessOutput(self.out, names, self.as_line, self.quiet)

    def run(self) -> int:
        """Run the processes. Returns 0 after a stop, or :data:`os.EX_CONFIG` if a process exited with it."""
        not_started = list(self.specs)
        with handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda _: self.stop()):
            try:
                while not self._stopping:
                    if not_started and self._are_ready() and self.may_start():
                        self._children.append(_Child(not_started.pop(0)))
                    self._keep_running()
                    self._relay_output()
                    self.every_tick()
            finally:
                self._stop_all()
        return self._exit_status

    def stop(self) -> None:
        """Make :meth:`run` stop all processes and return."""
        self._stopping = True

    def write_line(self, text: str, name: str = SUPERVISOR) -> None:
        """Write a line of output of the process ``name``."""
        self._output.write(text, name)

    def _are_ready(self) -> bool:
        return all(child.process and child.spec.ready() for child in self._children)

    def _keep_running(self) -> None:
        now_s = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now_s >= child.start_at_s:
                    self._start(child)
            elif child.process.poll() is not None:
                self._reap(child, now_s)

    def _start(self, child: _Child) -> None:
        child.process = subprocess.Popen(  # noqa: S603 - the Procfile's own commands
            child.spec.command,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads here
        )
        child.started_s = time.monotonic()
        assert child.process.stdout  # noqa: S101 - for the type checker; it is a pipe
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _reap(self, child: _Child, now_s: float) -> None:
        process = child.process
        assert process  # noqa: S101 - for the type checker
        self._drain(child)
        self._output.show_hidden(child.spec.name)
        _signal_group(process, signal.SIGKILL)  # its own children, if any are left
        child.process = None
        if process.returncode == os.EX_CONFIG:
            self._exit_status = os.EX_CONFIG
            self._stopping = True
            return
        if now_s - child.started_s > STEADY_S:
            child.delay_s = FIRST_RESTART_S
        child.start_at_s = now_s + child.delay_s
        code = process.returncode
        end = f"exited with status {code}" if code >= 0 else f"was killed by signal {-code}"
        self.write_line(f"{child.spec.name} {end}; restarting in {child.delay_s:g} s")
        child.delay_s = min(child.delay_s * 2, LONGEST_RESTART_S)

    def _relay_output(self) -> None:
        for key, _ in self._selector.select(TICK_S):
            self._read(key.data)

    def _read(self, child: _Child) -> bool:
        """Copy the available output of a process. Returns whether there was any."""
        if child.process is None or child.process.stdout is None:
            return False
        try:
            data = os.read(child.process.stdout.fileno(), 65_536)
        except BlockingIOError:
            return False
        *lines, child.partial = (child.partial + data).split(b"\n")
        if not data and child.partial:
            lines, child.partial = [child.partial], b""
        for line in lines:
            self.write_line(line.decode(errors="replace"), child.spec.name)
        if not data:
            self._selector.unregister(child.process.stdout)
            child.process.stdout.close()
            child.process.stdout = None
        return bool(data)

    def _drain(self, child: _Child) -> None:
        while self._read(child):
            pass
        if child.process and child.process.stdout:  # its own child keeps the pipe open
            self._selector.unregister(child.process.stdout)
            child.process.stdout.close()
            child.process.stdout = None

    def _stop_all(self) -> None:
        self._stopping = False  # a second signal sets it again, which ends the wait below
        first, rest = self._children[:1], self._children[1:]
        last = first + [child for child in rest if child.spec.needed]
        others = [child for child in rest if not child.spec.needed]
        for group in (others, last):
            running = [child for child in group if child.process]
            for child in running:
                _signal_group(child.process, signal.SIGTERM)
            deadline_s = time.monotonic() + STOP_S
            while any(child.process and child.process.poll() is None for child in running):
                if self._stopping or time.monotonic() > deadline_s:
                    break
                self._relay_output()
            for child in running:
                _signal_group(child.process, signal.SIGKILL)
                if child.process:
                    child.process.wait()
                self._drain(child)
                child.process = None
        self._selector.close()


def die_with_parent() -> None:
    """Ask the kernel to stop this process when its parent dies (Linux only). Call it in a new child."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if process is None:
        return
    with suppress(ProcessLookupError, PermissionError):  # it has ended; macOS reports the second error
        os.killpg(process.pid, number)


@contextmanager
def handled(numbers: Iterable[signal.Signals], handler: Callable[[int], object]) -> Iterator[None]:
    """Call ``handler`` with the number of each of these signals that arrives while the block runs."""
    before = {number: signal.signal(number, lambda received, _: handler(received)) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
