"""One client per transport. Each records what it receives, in order."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import threading
from contextlib import closing, contextmanager, suppress

import socketio
import websocket

from support.javascript import NODE_PROGRAMS, NodeProgram
from support.waiting import wait_until

ENDED = {"completed", "failed"}


class RecordingClient:
    """The messages that one connection has received: ``lines``, each a dictionary."""

    def __init__(self):
        self.lines = []
        self.changed = threading.Condition()

    def record(self, line):
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def wait_for(self, condition, timeout_s=60):
        """Wait until ``condition(self)`` holds. Return the client."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), timeout_s), self.lines[-3:]
        return self

    def received(self, kind):
        """Return the lines of this type: those with it as their ``type`` (``/ws``), or as a key (others)."""
        with self.changed:
            return [line for line in self.lines if (line["type"] == kind if "type" in line else kind in line)]

    def events(self, job_id=None):
        """Return the events of a job, or of all jobs, without those that a resume returned."""
        with self.changed:
            events = [line["event"] for line in self.lines if "event" in line]
        return [event for event in events if job_id in {None, event["jobId"]}]

    def progress(self):
        """Return events as ``(job, seq)`` and gaps as ``("gap", job, oldest seq)``, in order of arrival."""
        with self.changed:
            return [entry for line in self.lines for entry in (_event_entry(line), _gap_entry(line)) if entry]

    def answers(self):
        return {line["room"]: line["answer"] for line in self.received("answer")}

    def room_errors(self):
        return [line["roomError"] for line in self.received("roomError")]

    def has_ended(self):
        """Return whether the server has ended the connection."""
        return bool(self.received("end"))

    def ended(self):
        """Return the jobs whose last event has been received."""
        return {event["jobId"] for event in self.events() if event["status"] in ENDED}


def _event_entry(line):
    return (line["event"]["jobId"], line["event"]["seq"]) if "event" in line else None


def _gap_entry(line):
    gap = line if line.get("type") == "gap" else line.get("gap")
    return ("gap", gap["jobId"], gap["oldestSeq"]) if gap else None


class NodeClient(RecordingClient):
    """The stock ``socket.io-client`` on Node."""

    def __init__(self, url, transport, rooms):
        super().__init__()
        self.program = NodeProgram(self.record, NODE_PROGRAMS / "client.mjs", url, transport, *rooms)
        self.close = self.program.close

    def send(self, *message):
        self.program.send(message)


class PythonClient(RecordingClient):
    """The stock ``python-socketio`` client. ``options`` are those of ``socketio.Client``."""

    def __init__(self, url, transport, rooms=(), auth=None, **options):
        super().__init__()
        self.client = socketio.Client(**options)
        self.client.on("worker_progress", lambda event: self.record({"event": event}))
        self.client.on("room_error", lambda error: self.record({"roomError": error}))
        for name in ("gap", "auth_expired", "connect_error"):
            self.client.on(name, lambda argument, name=name: self.record({name: argument}))
        self.client.on("connect", lambda: self.record({"connect": True}))
        self.client.on("disconnect", lambda *_: self.record({"end": True}))
        try:
            self.client.connect(url, auth=auth, transports=[transport], wait=False)
        except socketio.exceptions.ConnectionError:
            if self.refusal is None:
                raise
        self.wait_for(lambda client: client.received("connect") or client.refusal)
        if self.refusal:  # the gateway ends the session
            wait_until(lambda: self.client.eio.state == "disconnected")
        for room in rooms:
            self.client.emit("join_room", room, callback=self.answer_of(room))

    @property
    def refusal(self):
        """The code with which the server refused the connection, or ``None``."""
        errors = [line["connect_error"] for line in self.received("connect_error")]
        return errors[0]["data"]["code"] if errors and isinstance(errors[0], dict) else None

    def events(self, job_id=None):
        """Return events in order of ``seq``: this client handles each message in a thread of its own."""
        return sorted(super().events(job_id), key=lambda event: event["seq"])

    def ended(self):
        """Return the jobs of which the last event, and all events between it and the first, are recorded."""
        numbers = {job_id: [event["seq"] for event in self.events(job_id)] for job_id in super().ended()}
        return {job_id for job_id, seqs in numbers.items() if len(set(seqs)) == seqs[-1] - seqs[0] + 1}

    def answer_of(self, room):
        return lambda answer: self.record({"room": room, "answer": answer})

    def send(self, *message):
        self.client.emit(*message)

    def call(self, name, argument):
        """Send a message and wait for its answer. Return the error's code; ``None`` on success."""
        answer = self.client.call(name, argument, timeout=10)
        return None if answer["success"] else answer["error"]["code"]

    def close(self):
        self.client.shutdown()
        self.client.eio.disconnect()  # also if the connection was refused


class EventStream(RecordingClient):
    """A client of Server-Sent Events that reads a stream as an ``EventSource`` does, without reconnecting."""

    def __init__(self, system, path, last_event_id=None, receive_buffer=None):
        super().__init__()
        self.last_event_id = last_event_id
        self.complete = False  # whether the response ended with its last chunk
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
        """Start to read in the background. Return the client."""
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        return self

    def read(self):
        kind, data = "message", ""
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
                    key = "event" if kind == "worker_progress" else kind
                    self.record({key: json.loads(data), "id": self.last_event_id})
                    kind, data = "message", ""
            self.complete = self.response.isclosed()
        self.record({"end": True})

    def close(self):
        with suppress(OSError, AttributeError):  # closed already
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        if self.thread:
            self.thread.join()
        self.response.close()
        self.connection.close()


class WebSocketClient(RecordingClient):
    """A client of ``/ws``. ``status`` is the code with which the server closed the connection."""

    def __init__(self, system, *rooms, token="s3cret", **options):
        super().__init__()
        self.status = None
        self.numbers = itertools.count(1)  # of calls
        address = system.url.replace("http", "ws", 1) + f"/ws?token={token}"
        self.socket = websocket.create_connection(address, timeout=60, **options)
        for room in rooms:
            self.send(type="join", room=room)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        self.wait_for(lambda client: len(client.received("joined")) == len(rooms))

    def read(self):
        with suppress(OSError, websocket.WebSocketException):
            while self.status is None:
                opcode, data = self.socket.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    self.status = int.from_bytes(data[:2], "big")
                else:
                    self.record(json.loads(data))
        self.record({"type": "end"})

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def call(self, name, argument):
        """Send a message and wait for its answer. Return the error's code; ``None`` on success."""
        fields = argument if isinstance(argument, dict) else {"room": argument}
        number = next(self.numbers)
        self.send(type=name.removesuffix("_room"), **fields, id=number)
        self.wait_for(lambda client: any(line.get("id") == number for line in client.lines))
        (answer,) = [line for line in self.lines if line.get("id") == number]
        return answer["code"] if answer["type"] == "error" else None

    def close(self):
        with suppress(OSError, AttributeError):  # closed already
            self.socket.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.shutdown()


def wait_until_left(system, room):
    """Wait until no gateway is subscribed to a room."""
    wait_until(lambda: not system.is_followed(room))


@contextmanager
def clients_of_every_transport(system, user_id):
    """Yield a client of each transport, all of them in a user's room."""
    room = f"user_{user_id}"
    with (
        closing(PythonClient(system.url, "websocket", [room])) as by_websocket,
        closing(PythonClient(system.url, "polling", [room])) as by_polling,
        closing(WebSocketClient(system, room)) as plain,
        closing(EventStream(system, f"/api/cto/stream?userId={user_id}").reading()) as stream,
    ):
        for client in (by_websocket, by_polling):
            client.wait_for(lambda client: client.answers() == {room: {"success": True, "room": room}})
        wait_until(lambda: stream.last_event_id)
        yield [by_websocket, by_polling, plain, stream]
