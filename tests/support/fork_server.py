"""Fork servers: they start workers, gateways, commands and a bot without a new import of their modules.

Tests start hundreds of these processes, and the imports took more time than the tests. A forked process runs
the same program with its own environment, session, log and exit status. COLD_STARTS=1 turns this off.
"""

from os import WNOHANG, environ, fork, read, waitpid, waitstatus_to_exitcode, write  # isort: skip - unpatched

import ast
import atexit
import gc
import json
import os
import runpy
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
CLIENT = ROOT / "clients" / "python" / "src"
BOT = (sys.executable, str(ROOT / "examples" / "aiogram_bot.py"))
WORKER = (str(Path(sys.executable).parent / "celery"), "--app", "cto_worker.app", "worker")
PROGRAMS = {"gateway": GATEWAY, "worker": WORKER, "cto": CTO, "bot": BOT}
FURTHER_PATHS = {"bot": {"PYTHONPATH": str(CLIENT)}}  # the environment of a server, beyond that of the tests
SYSTEM_COMMANDS = {"demo", "signer", "local-chain"}  # these are started cold
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

    def __init__(self, changed, pid):
        self.pid = pid
        self.returncode = None  # set by the server when the process has ended
        self._changed = changed

    def poll(self):
        return self.returncode

    def send_signal(self, number):
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout=None):
        with self._changed:
            if not self._changed.wait_for(lambda: self.returncode is not None, timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode


class ForkServer:
    """A process that has imported a program, and forks it on request."""

    def __init__(self, program):
        self.changed = threading.Condition()
        self._running = {}  # by process id
        self._started = []
        self._requests = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__, program],
            env=_environment(program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        threading.Thread(target=self._receive, name=f"fork server {program}", daemon=True).start()
        atexit.register(self._close)

    def start(self, command, env, log, errors=None, given=os.devnull, directory=ROOT):
        """Start the program in a directory. It reads the file ``given``.

        Its output is appended to ``log``, and its errors to ``errors`` if given. A terminal can be all three.
        """
        log.touch()
        files = {"given": given, "log": log, "errors": errors or log, "directory": directory}
        paths = {name: str(path) for name, path in files.items()}
        order = {"command": [*map(str, command)], "env": env, **paths}
        with self._requests, self.changed:
            print(json.dumps(order), file=self._process.stdin, flush=True)
            assert self.changed.wait_for(lambda: self._started, 60), (
                f"the fork server has not started {command[0]} within 60 s"
            )
            return self._started.pop()

    def _receive(self):
        for line in self._process.stdout:
            report = json.loads(line)
            with self.changed:
                if "status" in report:
                    self._running.pop(report["pid"]).returncode = report["status"]
                else:
                    process = self._running[report["pid"]] = ForkedProcess(self.changed, report["pid"])
                    self._started.append(process)
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
    words = tuple(map(str, command))
    program = next((name for name, first in PROGRAMS.items() if words[: len(first)] == first), None)
    if not program or "COLD_STARTS" in os.environ or SYSTEM_COMMANDS.intersection(words[1:2]):
        return None
    given = _environment(program)
    return fork_server(program) if all(env.get(name) == given.get(name) for name in IMPORTED) else None


def _environment(program):
    return os.environ | FURTHER_PATHS.get(program, {})


def serve():
    """Fork for each order that is read from standard input, and return in the forked process."""
    signal.signal(signal.SIGCHLD, lambda *_: _report_ended())
    received = b""
    while more := read(0, 65_536):
        *orders, received = (received + more).split(b"\n")
        for order in map(json.loads, orders):
            if fork() == 0:
                _become(**order)
                return
    sys.exit()


def _report(**report):
    write(1, json.dumps(report).encode() + b"\n")


def _report_ended():
    try:
        while (ended := waitpid(-1, WNOHANG)) != (0, 0):
            _report(pid=ended[0], status=waitstatus_to_exitcode(ended[1]))
    except ChildProcessError:
        pass


def _become(command, env, given, log, errors, directory):
    """Make this process the requested one: its arguments, environment, session, files and signals."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    _report(pid=os.getpid())  # only now does a signal to its process group reach it
    environ.clear()
    environ.update(env)
    arguments = command[1:] if command[0] == sys.executable else command
    sys.argv[:] = arguments[1:] if arguments[0] == "-m" else arguments
    os.chdir(directory)
    time.tzset()  # the time zone of its environment
    files = (
        (given, os.O_RDONLY | os.O_NOCTTY),
        *((each, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY) for each in (log, errors)),
    )
    for descriptor, (path, flags) in enumerate(files):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)


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


def _bot():
    """Run the example once, as a module: this imports its packages, and starts no bot."""
    runpy.run_path(BOT[1])
    return lambda: runpy.run_path(BOT[1], run_name="__main__")


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # as with `python -m`, instead of this file's directory
    main = {"gateway": _gateway, "worker": _worker, "cto": _cto, "bot": _bot}[sys.argv[1]]()
    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()  # collections in forked processes would copy the pages of all objects
    serve()
    sys.exit(main())
