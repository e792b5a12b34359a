"""Servers that fork workers, gateways and commands, which so start without importing their modules again.

Tests start hundreds of these processes, and the imports took more time than the tests. A forked process runs
the same program with its own environment, session, log and exit status. COLD_STARTS=1 turns this off.
"""

from os import WNOHANG, environ, fork, read, waitpid, waitstatus_to_exitcode, write  # isort: skip - unpatched

import ast
import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTED = ("PYTHONPATH", "CTO_ENGINE")  # variables that decide what is imported
GATEWAY = (sys.executable, "-m", "api.wsgi")
CTO = (str(Path(sys.executable).parent / "cto"),)
WORKER = (str(Path(sys.executable).parent / "celery"), "--app", "cto_worker.app", "worker")
SYSTEM_COMMANDS = {"up", "demo", "signer", "local-chain"}  # they start the processes of a system, or are one
# Modules that Celery imports only when a worker starts.
CELERY = (
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.apps.worker",
    "celery.backends.redis",
    "celery.concurrency.thread",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "kombu.transport.redis",
)


class ForkedProcess:
    """A process that a server forked: the part of ``subprocess.Popen`` that tests use."""

    def __init__(self, server, pid):
        self.pid = pid
        self._server = server

    @property
    def returncode(self):
        return self._server.ended.get(self.pid)

    def poll(self):
        return self.returncode

    def wait(self, timeout=None):
        with self._server.changed:
            if not self._server.changed.wait_for(lambda: self.returncode is not None, timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode


class ForkServer:
    """A process that has imported a program, and forks it on request."""

    def __init__(self, program):
        self.changed = threading.Condition()
        self.ended = {}  # exit status by process
        self._started = []
        self._requests = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__, program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        threading.Thread(target=self._receive, name=f"fork server {program}", daemon=True).start()
        atexit.register(self._close)

    def start(self, command, env, log, errors=None):
        """Start the program. Its output is appended to ``log``, and its errors to ``errors`` if given."""
        log.touch()
        order = {"command": [*map(str, command)], "env": env, "log": str(log), "errors": str(errors or log)}
        with self._requests, self.changed:
            print(json.dumps(order), file=self._process.stdin, flush=True)
            assert self.changed.wait_for(lambda: self._started, 60), "the fork server has ended"
            return ForkedProcess(self, self._started.pop())

    def _receive(self):
        for line in self._process.stdout:
            report = json.loads(line)
            with self.changed:
                if "status" in report:
                    self.ended[report["pid"]] = report["status"]
                else:
                    self.ended.pop(report["pid"], None)
                    self._started.append(report["pid"])
                self.changed.notify_all()

    def _close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@cache
def fork_server(program):
    return ForkServer(program)


def fork_server_for(command, env):
    """Return the server that can start this command, or None.

    It cannot if the environment changes what is imported.
    """
    if "COLD_STARTS" in os.environ or any(env.get(name) != os.environ.get(name) for name in IMPORTED):
        return None
    words = tuple(map(str, command))
    programs = {"gateway": GATEWAY, "worker": WORKER, "cto": CTO}
    program = [name for name, first in programs.items() if words[: len(first)] == first]
    return fork_server(*program) if program and not SYSTEM_COMMANDS & set(words) else None


def serve():
    """Fork for each order that is read from standard input, and return in the forked process."""
    signal.signal(signal.SIGCHLD, lambda *_: _report_ended())
    received = b""
    while more := read(0, 65_536):
        *orders, received = (received + more).split(b"\n")
        for order in map(json.loads, orders):
            # So that the start of a process is reported before its end.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            if (pid := fork()) == 0:
                _become(**order)
                return
            _report(pid=pid)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    sys.exit()


def _report(**report):
    write(1, json.dumps(report).encode() + b"\n")


def _report_ended():
    try:
        while (ended := waitpid(-1, WNOHANG)) != (0, 0):
            _report(pid=ended[0], status=waitstatus_to_exitcode(ended[1]))
    except ChildProcessError:
        pass


def _become(command, env, log, errors):
    """Make this process the requested one: its arguments, environment, session, files and signals."""
    os.setsid()
    environ.clear()
    environ.update(env)
    sys.argv[:] = command[2:] if command[1] == "-m" else command
    time.tzset()  # the time zone of its environment
    files = (
        (os.devnull, os.O_RDONLY),
        *((each, os.O_WRONLY | os.O_APPEND | os.O_CREAT) for each in (log, errors)),
    )
    for descriptor, (path, flags) in enumerate(files):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _gateway():
    return import_module("api.wsgi").main


def _worker():
    """Import what a worker imports, but not its own module, which reads the settings."""
    for name in CELERY:
        import_module(name)
    source = Path(find_spec("cto_worker.app").origin).read_text()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ImportFrom):
            import_module(statement.module)
    return import_module("celery.__main__").main


def _cto():
    main = import_module("api.cli.main")
    for commands in main.SECTIONS.values():
        for place in commands.values():
            import_module(f"api.cli.{place.partition(':')[0]}")
    return main.main


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # as with `python -m`, instead of this file's directory
    main = {"gateway": _gateway, "worker": _worker, "cto": _cto}[sys.argv[1]]()
    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()  # collections in forked processes would copy the pages of all objects
    serve()
    sys.exit(main())
