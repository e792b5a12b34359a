"""Each engine does what :class:`api.engines.engine.Engine` promises. An engine patches its whole process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cto_worker.config import Settings
from cto_worker.errors import ConfigError

ROOT = Path(__file__).parents[3]
ENGINES = sorted(path.stem.removesuffix("_engine") for path in ROOT.glob("api/engines/*_engine.py"))


def run(engine, source):
    """Run a program on an engine. Return what it prints as JSON."""
    finished = subprocess.run(
        [sys.executable, "-c", f"from api.engines.selected import engine\nimport json\n{source}"],
        env=os.environ | {"CTO_ENGINE": engine},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    assert not finished.stderr
    return json.loads(finished.stdout)


def test_the_setting_allows_exactly_the_engines_there_are():
    assert ENGINES == ["eventlet", "gevent"]
    for name in ENGINES:
        assert Settings.from_env({"CTO_ENGINE": name}).engine == name
    with pytest.raises(ConfigError, match=r"CTO_ENGINE='asyncio': Must be one of: eventlet, gevent\."):
        Settings.from_env({"CTO_ENGINE": "asyncio"})


def test_eventlet_is_the_default():
    for value in ("", "asyncio"):  # the gateway reports a wrong value when it starts
        assert run(value, "print(json.dumps(engine.ASYNC_MODE))") == "eventlet"


TURNS = """
import time
turns = []
def count(name):
    for _ in range(3):
        turns.append(name)
        turns.append(name)
        time.sleep(0)
engine.spawn(count, "a")
engine.spawn(count, "b")
while len(turns) < 12:
    time.sleep(0)
print(json.dumps("".join(turns)))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_thread_runs_until_it_yields(engine):
    assert run(engine, TURNS) == "aabb" * 3


YIELDS = """
import socket, threading, time
near, far = socket.socketpair()
yields = 0
arrived = threading.Event()
def wait():
    far.recv(1)
    arrived.set()
threading.Thread(target=wait).start()
time.sleep(0.01)
near.send(b"x")
while not arrived.is_set():
    yields += 1
    time.sleep(0)
print(json.dumps(yields))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_sockets_are_looked_at_each_time_a_thread_yields(engine):
    assert run(engine, YIELDS) < 10


PLAIN_SOCKET = """
import socket
near, far = socket.socketpair()
try:
    near.fd.recv(1)
except BlockingIOError:
    blocks = False
far.fd.send(b"x")
print(json.dumps([blocks, near.recv(1).decode()]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_socket_has_its_plain_socket(engine):
    assert run(engine, PLAIN_SOCKET) == [False, "x"]


POLLER = """
import socket, threading, time
near, far = socket.socketpair()
poller, answered, received = engine.poller(), threading.Event(), []
def on_readable():
    received.append(near.fd.recv(1).decode())
    time.sleep(0.01)  # the event loop goes on meanwhile
    if len(received) == 2:
        answered.set()
poller.watch(near.fileno(), on_readable)
far.send(b"ab")
answered.wait()
print(json.dumps(received))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_callback_of_the_poller_may_block(engine):
    assert run(engine, POLLER) == ["a", "b"]


STORE_CHECK = """
import os
reader, writer = os.pipe()
poll = engine.BLOCKING_SELECT.poll()
poll.register(reader, engine.BLOCKING_SELECT.POLLIN)
before = len(poll.poll(0))
os.write(writer, b"x")
engine.clear_dns_cache()
print(json.dumps([before, len(poll.poll(0)), type(poll).__module__]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_the_blocking_poll_is_that_of_the_operating_system(engine):
    assert run(engine, STORE_CHECK) == [0, 1, "select"]
