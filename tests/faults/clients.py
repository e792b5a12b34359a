"""Hundreds of Socket.IO clients in one thread: asyncio and raw sockets, over both transports.

As stock clients do, they come back by themselves after a while. They resume each job they watch
after the last event they have.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import socketio
from support.javascript import NodeProgram

NODE_CLIENT = Path(__file__).parents[1] / "acceptance" / "node" / "resume.mjs"
NODE_DOORS = NODE_CLIENT.with_name("native.mjs")
SEPARATOR = "\x1e"
MOST_PACKETS = 16  # in one request, as Engine.IO has it
# python-socketio's client leaves the connections of a broken session to the garbage collector.
leaves_sockets_behind = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)
PATH = "/socket.io/?EIO=4&transport="


def collect_sockets():
    """Have what stock Python clients leave behind complained of in their own test, and not in a later one."""
    gc.collect()


class Swarm:
    """An event loop of its own, in which clients live until it is closed."""

    def __init__(self, port, host="127.0.0.1"):
        self.address = host, port
        self.clients = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def add(self, count, transport, jobs=(), *, silent=False, token=None):
        """Start clients; ``silent`` ones never ask to be let into the namespace."""
        made = [Client(self.address, transport, jobs, silent=silent, token=token) for _ in range(count)]
        self.clients += made
        for client in made:
            client.task = asyncio.run_coroutine_threadsafe(
                client.live(), self.loop
            )  # or it would be forgotten
        return made

    def close(self):
        asyncio.run_coroutine_threadsafe(self.cancel(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def cancel(self):
        for client in self.clients:
            client.ended = True
        while any(client.opening for client in self.clients):  # noqa: ASYNC110 - many clients, no event
            await asyncio.sleep(0.01)  # asyncio would lose a socket that is being opened
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the loop's next turn


class Client:
    """One client, which comes back whenever its connection breaks."""

    def __init__(self, address, transport, jobs, *, silent, token):
        self.address, self.port, self.transport, self.jobs, self.silent = (
            address,
            address[1],
            transport,
            jobs,
            silent,
        )
        self.knock = "40" if token is None else "40" + json.dumps({"token": token})
        self.refusals = []
        self.seqs = {job_id: [] for job_id in jobs}
        self.wrong = []  # answers that are none
        self.connections = 0  # times it was let in
        self.resumed = set()  # jobs, on this connection
        self.opened_s = self.closed_s = None
        self.delays_s = []  # from event to here
        self.sid = None
        self.opening = self.ended = False

    async def live(self):
        while True:
            with suppress(OSError, EOFError, ConnectionError, asyncio.IncompleteReadError):
                await getattr(self, f"by_{self.transport}")()
            self.closed_s = time.monotonic()
            self.resumed = set()
            if self.silent or self.ended:
                return
            await asyncio.sleep(random.uniform(0.2, 1.0))

    async def open(self):
        if self.ended:
            raise ConnectionError
        self.opening = True
        try:
            return await asyncio.open_connection(*self.address)
        finally:
            self.opening = False

    async def shake_hands(self, path):
        subscriber, writer = await self.open()
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        if b" 101 " not in (await subscriber.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]:
            writer.close()
            raise ConnectionError
        return subscriber, writer

    async def by_websocket(self):
        subscriber, writer = await self.shake_hands(f"{PATH}websocket")
        try:
            while True:
                first, text = await message(subscriber)
                if first == 0x89:
                    continue  # a ping
                if first != 0x81:
                    return  # closed
                for answer in self.take(text):
                    writer.write(masked(answer))
        finally:
            writer.close()

    async def by_plain(self):
        """The WebSocket at ``/ws``."""
        subscriber, writer = await self.shake_hands("/ws")
        try:
            self.connections += 1
            for job_id in self.jobs:
                after = max(self.seqs[job_id], default=0)
                writer.write(masked(json.dumps({"type": "resume", "jobId": job_id, "after": after})))
            while True:
                first, text = await message(subscriber)
                if first == 0x89:
                    continue
                if first != 0x81:
                    return  # closed
                said = json.loads(text)
                if said["type"] == "resumed":
                    self.resumed.add(said["jobId"])
                for event in said.get("events", [said["event"]] if "event" in said else []):
                    self.note(event)
        finally:
            writer.close()

    async def by_stream(self):
        """Server-Sent Events of the one job."""
        (job_id,) = self.jobs
        subscriber, writer = await self.open()
        try:
            after = max(self.seqs[job_id], default=0)
            writer.write(
                f"GET /api/cto/job/{job_id}/stream?after={after} HTTP/1.1\r\n"
                f"Host: 127.0.0.1:{self.port}\r\n\r\n".encode()
            )
            if b" 200 " not in (await subscriber.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]:
                raise ConnectionError
            self.connections += 1
            self.resumed.add(job_id)
            while line := await subscriber.readline():
                if line.startswith(b"data: "):
                    self.note(json.loads(line.removeprefix(b"data: ")))
        finally:
            writer.close()

    async def by_polling(self):
        address = f"{PATH}polling"
        while True:
            text = await self.ask("GET", address)
            answers = [answer for packet in text.split(SEPARATOR) for answer in self.take(packet)]
            address = f"{PATH}polling&sid={self.sid}"
            for first in range(0, len(answers), MOST_PACKETS):
                some = answers[first : first + MOST_PACKETS]
                await self.ask("POST", address, SEPARATOR.join(some))

    async def ask(self, method, address, body=""):
        """One request on a connection of its own."""
        subscriber, writer = await self.open()
        try:
            writer.write(
                f"{method} {address} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            head, _, text = (await subscriber.read()).partition(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                raise ConnectionError(head)
            return text.decode()
        finally:
            writer.close()

    def take(self, packet):  # noqa: C901 - one branch per kind of packet
        """Take one packet in; what there is to answer."""
        if packet.startswith("0"):
            self.sid = json.loads(packet[1:])["sid"]
            self.opened_s = time.monotonic()
            return [] if self.silent else [self.knock]
        if packet == "2":
            return ["3"]
        if packet.startswith("44"):
            self.refusals.append(json.loads(packet[2:])["data"]["code"])
            self.ended = True
            raise ConnectionError("refused")
        if packet.startswith("40"):
            self.connections += 1
            return [self.resume(number) for number in range(len(self.jobs))]
        if packet.startswith("43"):
            at = packet.index("[")
            answer, job_id = json.loads(packet[at:])[0], self.jobs[int(packet[2:at])]
            if not answer["success"]:
                self.wrong.append(answer)
                return [self.resume(self.jobs.index(job_id))]
            for event in answer["events"]:
                self.note(event)
            self.resumed.add(job_id)
        elif packet.startswith("42"):
            name, event = json.loads(packet[2:])
            if name == "worker_progress":
                self.note(event)
                self.delays_s.append(time.time() - event["timestamp"] / 1000)
        elif packet in {"", "1"}:
            raise ConnectionError("the session has ended")
        return []

    def resume(self, number):
        job_id = self.jobs[number]
        after = max(self.seqs[job_id], default=0)
        return f'42{number}["resume",{{"jobId":"{job_id}","after":{after}}}]'

    def note(self, event):
        self.seqs[event["jobId"]].append(event["seq"])


def whole(client, told):
    """Whether a client has every event of the jobs it watches, each once and in order."""
    return all(seqs == list(range(1, told[job_id] + 1)) for job_id, seqs in client.seqs.items())


async def message(subscriber):
    """The first byte and the text of a WebSocket's next frame, as a server sends it."""
    first, size = await subscriber.readexactly(2)
    if size > 125:
        size = int.from_bytes(await subscriber.readexactly(2 if size == 126 else 8), "big")
    data = await subscriber.readexactly(size)
    return first, data.decode() if first == 0x81 else ""


class NodeWatcher:
    """The stock ``socket.io-client``."""

    def __init__(self, url, transport, jobs):
        self.seqs = {job_id: [] for job_id in jobs}
        self.connections = 0
        self.resumed = set()
        self.reasons = []  # of disconnections
        self.program = NodeProgram(self.take, NODE_CLIENT, url, transport, *jobs)
        self.close = self.program.close

    def take(self, line):
        if "event" in line:
            self.seqs[line["event"]["jobId"]].append(line["event"]["seq"])
        elif "resumed" in line:
            self.resumed.add(line["resumed"])
        elif "disconnected" in line:
            self.reasons.append(line["disconnected"])
            self.resumed = set()
        elif "connected" in line:
            self.connections += 1


class NodeDoors:
    """Node's own ``EventSource`` and ``WebSocket``, which follow a job."""

    def __init__(self, url, job_id):
        self.seqs = {"source": [], "socket": []}
        self.endings = []  # of either
        self.program = NodeProgram(
            self.take, "--experimental-eventsource", "--no-warnings", NODE_DOORS, url, job_id
        )
        self.close = self.program.close

    def take(self, line):
        if "seq" in line:
            self.seqs[line["transport"]].append(line["seq"])
        else:
            self.endings.append(line)


class PythonWatcher:
    """The stock ``python-socketio`` client."""

    def __init__(self, url, transport, jobs):
        self.seqs = {job_id: [] for job_id in jobs}
        self.connections = 0
        self.resumed = set()
        self.reasons = []
        self.client = socketio.Client(reconnection_delay=1, reconnection_delay_max=2)
        self.client.on("worker_progress", self.note)
        self.client.on("connect", self.connected)
        self.client.on("disconnect", self.disconnected)
        self.client.connect(url, transports=[transport])

    def connected(self):
        self.connections += 1
        for job_id, seqs in self.seqs.items():
            message = {"jobId": job_id, "after": max(seqs, default=0)}
            self.client.emit("resume", message, callback=self.taking(job_id))

    def disconnected(self, reason):
        self.reasons.append(reason)
        self.resumed = set()

    def taking(self, job_id):
        def take(answer):
            for event in answer["events"]:
                self.note(event)
            self.resumed.add(job_id)

        return take

    def note(self, event):
        self.seqs[event["jobId"]].append(event["seq"])

    def close(self):
        self.client.disconnect()


def masked(text):
    """A WebSocket message as a client sends it."""
    data, mask = text.encode(), os.urandom(4)
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
