"""One client at each door that follows a user, and every event that it is sent, repeats and all."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress

import requests
import socketio
import websocket


class Door:
    """What came through in its order: events as (job, seq), gaps as ("gap", job, oldest seq)."""

    def __init__(self):
        self.told = []

    def take(self, event):
        self.told.append((event["jobId"], event["seq"]))

    def take_gap(self, gap):
        self.told.append(("gap", gap["jobId"], gap["oldestSeq"]))


@contextmanager
def socketio_client(url, user_id, transport):
    door, client = Door(), socketio.Client()
    client.on("worker_progress", door.take)
    client.on("gap", door.take_gap)
    client.connect(url, transports=[transport])
    try:
        assert client.call("join_room", f"user_{user_id}")["success"]
        yield door
    finally:
        client.shutdown()


@contextmanager
def plain_websocket(url, user_id):
    door, joined = Door(), threading.Event()
    connection = websocket.create_connection(url.replace("http", "ws", 1) + "/ws", timeout=60)

    def read():
        with suppress(OSError, websocket.WebSocketException):
            while text := connection.recv():
                said = json.loads(text)
                if said["type"] == "worker_progress":
                    door.take(said["event"])
                elif said["type"] == "gap":
                    door.take_gap(said)
                elif said["type"] == "joined":
                    joined.set()

    with _reading(read, lambda: connection.sock.shutdown(socket.SHUT_RDWR)):
        connection.send(json.dumps({"type": "join", "room": f"user_{user_id}"}))
        assert joined.wait(20)
        yield door
    connection.shutdown()


@contextmanager
def event_stream(url, user_id):
    door = Door()
    with requests.get(f"{url}/api/cto/stream?userId={user_id}", stream=True, timeout=60) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert next(lines).startswith(b"id: ")

        def read():
            name = b""
            with suppress(OSError, requests.RequestException):
                for line in lines:
                    kind, _, value = line.partition(b": ")
                    if kind == b"event":
                        name = value
                    elif kind == b"data" and name == b"worker_progress":
                        door.take(json.loads(value))
                    elif kind == b"data" and name == b"gap":
                        door.take_gap(json.loads(value))

        with _reading(read, lambda: answer.raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)):
            yield door


@contextmanager
def every_door(url, user_id):
    """A client at each door, all of them in the room of a user."""
    with (
        socketio_client(url, user_id, "websocket") as websocket_door,
        socketio_client(url, user_id, "polling") as polling_door,
        plain_websocket(url, user_id) as plain_door,
        event_stream(url, user_id) as stream_door,
    ):
        yield [websocket_door, polling_door, plain_door, stream_door]


@contextmanager
def _reading(read, end):
    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        with suppress(OSError, AttributeError):
            end()
        thread.join()
