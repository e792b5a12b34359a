"""Both readers return all bytes that have arrived, call back before a wait, and report the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# eventlet patches the standard library, so it runs in a process of its own.
PRELUDE = """
import socket, threading, time
{imports}
ours, theirs = socket.socketpair()
reader, waits = {reader}(ours), []
def read(timeout_s=60):
    return reader.read(timeout_s, lambda: waits.append(1))
"""
READERS = {
    "blocking": {
        "imports": "from api.relay.pubsub_socket_reader import BlockingReader",
        "reader": "BlockingReader",
    },
    "hub": {
        "imports": "from api.engines.selected import engine\nfrom eventlet.hubs import get_hub\n"
        "import socket",
        "reader": "engine.socket_reader",
    },
}


def run(reader, code):
    program = PRELUDE.format(**READERS[reader]) + code
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_waits_only_when_nothing_has_arrived(reader):
    run(
        reader,
        """
theirs.sendall(b"one"); theirs.sendall(b"two")
assert read() == b"onetwo" and not waits
assert read(0.01) is None and len(waits) == 1
def answer():
    while len(waits) < 2: time.sleep(0.001)
    theirs.sendall(b"three")
threading.Thread(target=answer).start()
received = read()
while received is None: received = read()  # a reader may return early
assert received == b"three"
theirs.close()
assert read() == b""
reader.close(); ours.close()
""",
    )


def test_the_hub_watches_the_socket_from_wait_to_wait_and_not_while_its_thread_is_busy():
    run(
        "hub",
        """
hub, registered = get_hub(), []
add = hub.add
hub.add = lambda *listener: (registered.append(listener[1]), add(*listener))[1]
def sends(*messages):
    for message in messages:
        waits_before = len(waits)
        while len(waits) == waits_before: time.sleep(0)
        theirs.sendall(message)
threading.Thread(target=sends, args=(b"1", b"2", b"3")).start()
assert [read(), read(), read()] == [b"1", b"2", b"3"]
assert registered.count(ours.fileno()) == 1
theirs.sendall(b"4")
for _ in range(3): time.sleep(0)  # other threads run, and this one does not read
assert ours.fileno() not in hub.listeners[hub.READ]
assert read() == b"4"
threading.Thread(target=sends, args=(b"5",)).start()
assert read() == b"5" and registered.count(ours.fileno()) == 2
reader.close()
assert ours.fileno() not in hub.listeners[hub.READ]
""",
    )
