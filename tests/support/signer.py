"""A signer process with keys of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from cto_worker.config import Settings
from cto_worker.errors import SignerUnavailableError
from cto_worker.signer.client import SignerClient
from support.processes import BIN, Process, environment
from support.waiting import wait_until


class Signer:
    """The signer of a data directory. ``log`` has its output, ``client`` is for this process."""

    def __init__(self, **settings):
        self.env = environment(**settings)
        self.directory = Path(self.env["CTO_DATA_DIR"])
        self.log = self.directory / "signer.log"
        self.client = SignerClient.from_settings(Settings.from_env(self.env))
        self.process = None

    def cto(self, *arguments, secret=None):
        """Run a command of ``cto signer`` to its end; ``secret`` is its input."""
        return subprocess.run(
            [BIN / "cto", "signer", *arguments],
            env=self.env,
            input=secret,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self):
        """Start the process, and wait until it answers."""
        self.process = Process([BIN / "cto", "signer", "run"], self.env, self.log)
        wait_until(lambda: self.answers() or not self.process.alive)
        assert self.process.alive, self.log.read_text()

    def answers(self):
        try:
            self.client.addresses("nobody")
        except SignerUnavailableError:
            return False
        return True

    def close(self):
        if self.process:
            self.process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
