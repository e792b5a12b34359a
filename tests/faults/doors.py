"""One client at each door that follows a user, and every event that it is sent, repeats and all."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress

import requests
import socketio
import websocket
from waiting import wait_until


class Door:
    """What came through, as (job, seq), and other messages."""

    def __init__(self):
        self.told, self.others = [], []

    def take(self, event):
        self.told.append((event["jobId"], event["seq"]))


@contextmanager
def socketio_client(url, user_id, transport):
    door, client = Door(), socketio.Client()
    client.on("worker_progress", door.take)
    client.on("gap", door.others.append)
    client.connect(url, transports=[transport])
    try:
        assert client.call("join_room", f"user_{user_id}")["success"]
        yield door
    finally:
        client.shutdown()


@contextmanager
def plain_websocket(url, user_id):
    door = Door()
    connection = websocket.create_connection(url.replace("http", "ws", 1) + "/ws", timeout=60)

    def read():
        with suppress(OSError, websocket.WebSocketException):
            while text := connection.recv():
                said = json.loads(text)
                if said["type"] == "worker_progress":
                    door.take(said["event"])
                else:
                    door.others.append(said)

    with _reading(read, lambda: connection.sock.shutdown(socket.SHUT_RDWR)):
        connection.send(json.dumps({"type": "join", "room": f"user_{user_id}"}))
        wait_until(lambda: door.others)
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
                    elif kind == b"data":
                        door.others.append(json.loads(value))

        with _reading(read, lambda: answer.raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)):
            yield door


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
