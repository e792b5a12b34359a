"""Hundreds of clients in one thread, on raw sockets and asyncio, over every transport.

They reconnect after a while, as stock clients do, and resume each job that they watch after the last event
that they have.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import threading
import time
from contextlib import suppress

SEPARATOR = "\x1e"
MAX_PACKETS = 16  # in one request (Engine.IO)
PATH = "/socket.io/?EIO=4&transport="


class Swarm:
    """An event loop in a thread, in which clients run until it is closed."""

    def __init__(self, port, host="127.0.0.1"):
        self.address = host, port
        self.clients = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def add(self, count, transport, jobs=(), *, silent=False, token=None):
        """Start clients. ``silent`` ones never send their CONNECT packet."""
        made = [SwarmClient(self.address, transport, jobs, silent=silent, token=token) for _ in range(count)]
        self.clients += made
        for client in made:  # each keeps its task: asyncio does not
            client.task = asyncio.run_coroutine_threadsafe(client.run(), self.loop)
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
            await asyncio.sleep(0.01)  # asyncio would leak a socket that is being opened
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the loop's next iteration


class SwarmClient:
    """One client, which reconnects whenever its connection breaks."""

    def __init__(self, address, transport, jobs, *, silent, token):
        self.address, self.port = address, address[1]
        self.transport, self.jobs, self.silent = transport, jobs, silent
        self.connect_packet = "40" if token is None else "40" + json.dumps({"token": token})
        self.refusals = []  # the codes of CONNECT_ERROR packets
        self.seqs = {job_id: [] for job_id in jobs}
        self.wrong = []  # failed answers to a resume
        self.connections = 0  # how often it has been accepted
        self.resumed = set()  # jobs, on this connection
        self.opened_s = self.closed_s = None
        self.sid = None
        self.opening = self.ended = False

    async def run(self):
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

    async def open_websocket(self, path):
        reader, writer = await self.open()
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        if b" 101 " not in (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]:
            writer.close()
            raise ConnectionError
        return reader, writer

    async def by_websocket(self):
        reader, writer = await self.open_websocket(f"{PATH}websocket")
        try:
            while True:
                first, text = await read_message(reader)
                if first == 0x89:
                    continue  # a ping
                if first != 0x81:
                    return  # closed
                for answer in self.handle(text):
                    writer.write(masked(answer))
        finally:
            writer.close()

    async def by_ws(self):
        """Connect to ``/ws``."""
        reader, writer = await self.open_websocket("/ws")
        try:
            self.connections += 1
            for job_id in self.jobs:
                after = max(self.seqs[job_id], default=0)
                writer.write(masked(json.dumps({"type": "resume", "jobId": job_id, "after": after})))
            while True:
                first, text = await read_message(reader)
                if first == 0x89:
                    continue
                if first != 0x81:
                    return  # closed
                message = json.loads(text)
                if message["type"] == "resumed":
                    self.resumed.add(message["jobId"])
                for event in message.get("events", [message["event"]] if "event" in message else []):
                    self.add_event(event)
        finally:
            writer.close()

    async def by_sse(self):
        """Read the Server-Sent Events of the client's one job."""
        (job_id,) = self.jobs
        reader, writer = await self.open()
        try:
            after = max(self.seqs[job_id], default=0)
            writer.write(
                f"GET /api/cto/job/{job_id}/stream?after={after} HTTP/1.1\r\n"
                f"Host: 127.0.0.1:{self.port}\r\n\r\n".encode()
            )
            if b" 200 " not in (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]:
                raise ConnectionError
            self.connections += 1
            self.resumed.add(job_id)
            while line := await reader.readline():
                if line.startswith(b"data: "):
                    self.add_event(json.loads(line.removeprefix(b"data: ")))
        finally:
            writer.close()

    async def by_polling(self):
        address = f"{PATH}polling"
        while True:
            text = await self.request("GET", address)
            answers = [answer for packet in text.split(SEPARATOR) for answer in self.handle(packet)]
            address = f"{PATH}polling&sid={self.sid}"
            for first in range(0, len(answers), MAX_PACKETS):
                packets = answers[first : first + MAX_PACKETS]
                await self.request("POST", address, SEPARATOR.join(packets))

    async def request(self, method, address, body=""):
        """Send one request on a new connection. Return the body of the response."""
        reader, writer = await self.open()
        try:
            writer.write(
                f"{method} {address} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            head, _, text = (await reader.read()).partition(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                raise ConnectionError(head)
            return text.decode()
        finally:
            writer.close()

    def handle(self, packet):  # noqa: C901 - one branch per kind of packet
        """Handle a received packet. Return the packets to answer with."""
        if packet.startswith("0"):
            self.sid = json.loads(packet[1:])["sid"]
            self.opened_s = time.monotonic()
            return [] if self.silent else [self.connect_packet]
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
                self.add_event(event)
            self.resumed.add(job_id)
        elif packet.startswith("42"):
            name, event = json.loads(packet[2:])
            if name == "worker_progress":
                self.add_event(event)
        elif packet in {"", "1"}:
            raise ConnectionError("the session has ended")
        return []

    def resume(self, number):
        job_id = self.jobs[number]
        after = max(self.seqs[job_id], default=0)
        return f'42{number}["resume",{{"jobId":"{job_id}","after":{after}}}]'

    def add_event(self, event):
        self.seqs[event["jobId"]].append(event["seq"])


def has_every_event(client, counts):
    """Return whether a client has every event of the jobs that it watches, each once and in order.

    ``counts`` is the number of events of each job.
    """
    return all(seqs == list(range(1, counts[job_id] + 1)) for job_id, seqs in client.seqs.items())


async def read_message(reader):
    """Read a frame from a server. Return its first byte, and its text if it is a whole text message."""
    first, size = await reader.readexactly(2)
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    data = await reader.readexactly(size)
    return first, data.decode() if first == 0x81 else ""


def masked(text):
    """Return a WebSocket text message as a client sends it (RFC 6455, 5.3)."""
    data, mask = text.encode(), os.urandom(4)
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
