"""Processes that tests start, their environment, and their ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.fork_server import fork_server_for

BIN = Path(sys.executable).parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def inherited_environment():
    """Return this process's environment without the product's settings, except the engine to be tested."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CTO_") or name == "CTO_ENGINE"
    }


def environment(**settings):
    """Return an environment for one system, with a directory and ports that no other test uses."""
    return {
        **inherited_environment(),
        "CTO_DATA_DIR": tempfile.mkdtemp(prefix="cto-"),  # short: a Unix socket's path has at most 103 bytes
        "CTO_PORT": str(free_port()),
        "CTO_FLOWER_PORT": str(free_port()),
        "CTO_AUTH": "off",
        "CTO_PAPER_LATENCY_MS": "20",
        **settings,
    }


def run(command, env, timeout_s=60, typed=""):
    """Run a command to its end, by a fork server if one can. Its input is ``typed``."""
    if not (server := fork_server_for(command, env)):
        return subprocess.run(
            command,
            env=env,
            input=typed,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    with tempfile.TemporaryDirectory(prefix="cto-run-") as directory:
        given, output, errors = (Path(directory, name) for name in ("input", "output", "errors"))
        given.write_text(typed)
        process = server.start(command, env, output, errors, given)
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(command, status, output.read_text(), errors.read_text())


def is_ready(output):
    """Return whether ``cto up``, whose output this is, has started its gateway and a worker."""
    return "ready: try" in output and "ready." in output


class Process:
    """A process and its children, in a process group of their own. Its output is appended to ``log``.

    A fork server starts a command that it can start.
    """

    def __init__(self, command, env, log):
        self.log = log
        if server := fork_server_for(command, env):
            self.process = server.start(command, env, log)
            return
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        """Send a signal to the process group. A process that has ended meanwhile does not get it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self):
        if self.alive:
            self.signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, timeout_s=15):
        """Send SIGTERM and wait for the end. Return the seconds until then."""
        began_s = time.monotonic()
        self.signal(signal.SIGTERM)
        self.process.wait(timeout_s)
        return time.monotonic() - began_s
