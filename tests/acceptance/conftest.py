"""The whole system, as its users start it, and the clients they use."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import requests
import socketio
import websocket
from support.javascript import NodeProgram
from support.waiting import wait_until

from cto_worker.config import Settings
from cto_worker.store.connection import connect

NODE_DIR = Path(__file__).parent / "node"
BIN = Path(sys.executable).parent
MINT = "So11111111111111111111111111111111111111112"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**settings):
    """An environment of its own for one system; no test shares ports or data with another."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CTO_")}
    return {
        **clean,
        "CTO_DATA_DIR": tempfile.mkdtemp(prefix="cto-"),
        "CTO_PORT": str(free_port()),
        "CTO_FLOWER_PORT": str(free_port()),
        "CTO_AUTH": "off",
        "CTO_PAPER_LATENCY_MS": "20",
        **settings,
    }


class System:
    """``cto up`` and what one asks of it."""

    def __init__(self, env, *arguments):
        self.env = env
        self.settings = Settings.from_env(env)
        self.url = self.settings.base_url
        self.log = Path(env["CTO_DATA_DIR"]) / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [BIN / "cto", "up", *arguments], env=env, stdout=log, stderr=subprocess.STDOUT
            )

    def ready(self):
        """Wait until it says so, and a worker answers."""
        wait_until(lambda: "ready: try" in self.said() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()
        wait_until(lambda: "ready." in self.said() or self.process.poll() is not None)
        return self

    def said(self):
        return self.log.read_text()

    def get(self, path, **query):
        return requests.get(self.url + path, params=query, timeout=10).json()["data"]

    def submit(self, **changes):
        body = {
            "tokenAddress": MINT,
            "userId": "7",
            "userChatId": 1,
            "mode": "prefunded",
            "buyAmount": 0.05,
            "walletCount": 2,
        } | changes
        body = {name: value for name, value in body.items() if value is not None}
        answer = requests.post(f"{self.url}/api/cto/jobs", json=body, timeout=10)
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]["jobId"]

    def ended(self, job_id):
        """Wait for the end of a job; return its status page."""
        path = f"/api/cto/job/{job_id}/status"
        return wait_until(lambda: (page := self.get(path))["status"] in {"completed", "failed"} and page)

    def cto(self, *arguments, timeout_s=60):
        """Run a command of the command line."""
        return subprocess.run(
            [BIN / "cto", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def store(self):
        return connect(self.settings)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)


class Client:
    """What one socket was sent, whichever client it is."""

    def __init__(self):
        self.lines = []
        self.changed = threading.Condition()

    def take(self, line):
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def wait_for(self, condition, timeout_s=40):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), timeout_s), self.lines[-3:]
        return self

    def events(self, job_id=None):
        with self.changed:
            found = [line["event"] for line in self.lines if "event" in line]
        return [event for event in found if job_id in {None, event["jobId"]}]

    def answers(self):
        return {line["room"]: line["answer"] for line in self.lines if "answer" in line}

    def room_errors(self):
        return [line["roomError"] for line in self.lines if "roomError" in line]

    def ended(self):
        return {event["jobId"] for event in self.events() if event["status"] in {"completed", "failed"}}


class NodeClient(Client):
    """The stock ``socket.io-client`` on Node."""

    def __init__(self, url, transport, rooms):
        super().__init__()
        self.program = NodeProgram(self.take, NODE_DIR / "client.mjs", url, transport, *rooms)
        self.close = self.program.close

    def send(self, *message):
        self.program.tell(message)


class PythonClient(Client):
    """The stock ``python-socketio`` client."""

    def __init__(self, url, transport, rooms):
        super().__init__()
        self.client = socketio.Client()
        self.client.on("worker_progress", lambda event: self.take({"event": event}))
        self.client.on("room_error", lambda error: self.take({"roomError": error}))
        self.client.connect(url, transports=[transport])
        for room in rooms:
            self.client.emit("join_room", room, callback=self.answer_of(room))

    def events(self, job_id=None):
        """In order: this client hands each message to a thread of its own, so one may overtake another."""
        return sorted(super().events(job_id), key=lambda event: event["seq"])

    def answer_of(self, room):
        return lambda answer: self.take({"room": room, "answer": answer})

    def send(self, *message):
        self.client.emit(*message)

    def close(self):
        self.client.disconnect()


class EventStream(Client):
    """A reader of Server-Sent Events, as an ``EventSource`` is one."""

    def __init__(self, system, path, last_event_id=None, receive_buffer=None):
        super().__init__()
        self.last_event_id = last_event_id
        self.connection = http.client.HTTPConnection("127.0.0.1", system.settings.port, timeout=60)
        if receive_buffer:
            self.connection.sock = socket.socket()
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.connection.sock.connect(("127.0.0.1", system.settings.port))
        headers = {"Last-Event-ID": last_event_id} if last_event_id is not None else {}
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()
        self.thread = None

    def reading(self):
        """Read all that comes, beside the test."""
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        return self

    def read(self):
        kind, data = "message", ""
        self.in_order = False  # whether the answer has ended as it should, and was not just cut off
        with suppress(OSError, http.client.HTTPException):
            while line := self.response.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "id":
                    self.last_event_id = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif not line.strip() and data:
                    self.take(
                        {
                            "event" if kind == "worker_progress" else kind: json.loads(data),
                            "id": self.last_event_id,
                        }
                    )
                    kind, data = "message", ""
            self.in_order = self.response.isclosed()
        self.take({"end": True})

    def has_ended(self):
        return self.lines[-1:] == [{"end": True}]

    def close(self):
        with suppress(OSError, AttributeError):  # closed already
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        if self.thread:
            self.thread.join()
        self.response.close()
        self.connection.close()


class PlainSocket(Client):
    """A client of the WebSocket at ``/ws``: ``lines`` is what it was told, ``status`` why it ended."""

    def __init__(self, system, *rooms, token="s3cret", **options):
        super().__init__()
        self.status = None
        address = system.url.replace("http", "ws", 1) + f"/ws?token={token}"
        self.socket = websocket.create_connection(address, timeout=60, **options)
        for room in rooms:
            self.send(type="join", room=room)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        self.wait_for(lambda client: len(client.told("joined")) == len(rooms))

    def read(self):
        with suppress(OSError, websocket.WebSocketException):
            while self.status is None:
                opcode, data = self.socket.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    self.status = int.from_bytes(data[:2], "big")
                else:
                    self.take(json.loads(data))
        self.take({"type": "end"})

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def told(self, kind):
        with self.changed:
            return [line for line in self.lines if line["type"] == kind]

    def close(self):
        with suppress(OSError, AttributeError):  # closed already
            self.socket.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.shutdown()


@pytest.fixture(scope="session")
def system():
    """One running system for all tests of this process; each test uses users of its own."""
    env = environment()
    system = System(env, "--no-flower").ready()
    yield system
    system.stop()
    shutil.rmtree(env["CTO_DATA_DIR"])


@pytest.fixture
def launch():
    """Start systems of one's own."""
    systems = []

    def launch(*arguments, **settings):
        systems.append(System(environment(**settings), *arguments))
        return systems[-1]

    yield launch
    for system in systems:
        if system.process.poll() is None:
            system.stop()
        shutil.rmtree(system.env["CTO_DATA_DIR"], ignore_errors=True)


@pytest.fixture
def connect_client(system):
    """Connect clients: ``connect_client("node" or "python", transport, *rooms)``."""
    clients = []

    def connect_client(kind, transport, *rooms):
        make = NodeClient if kind == "node" else PythonClient
        clients.append(make(system.url, transport, rooms))
        return clients[-1].wait_for(lambda client: len(client.answers()) == len(set(rooms)))

    yield connect_client
    for client in clients:
        client.close()


@pytest.fixture
def opened():
    """Keep clients that are to be closed after the test: ``opened(client)`` returns it."""
    clients = []

    def keep(client):
        clients.append(client)
        return client

    yield keep
    for client in clients:
        client.close()


@pytest.fixture
def stream(system, opened):
    """Open streams: ``stream(path, last_event_id)``, read in the background."""

    def stream(path, last_event_id=None):
        client = opened(EventStream(system, path, last_event_id))
        assert client.response.status == 200, client.response.read()
        assert client.response.headers["Content-Type"].startswith("text/event-stream")
        return client.reading()

    return stream


@pytest.fixture
def plain_socket(system, opened):
    """Open WebSockets: ``plain_socket(*rooms)``."""
    return lambda *rooms, **options: opened(PlainSocket(system, *rooms, **options))


@pytest.fixture
def slow_stream(system, opened):
    """Open a stream that nobody reads."""
    return lambda path: opened(EventStream(system, path, receive_buffer=4_096))
