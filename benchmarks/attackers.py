"""Clients without a token that flood a server: ``python -m benchmarks.attackers posts|sockets PORT SECONDS``.

Each attack is bounded in rate and time, and connects to this machine only. It prints one JSON object:
``rounds``, ``refused`` (rounds that the server closed) and ``sentBytes``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

POSTS_PER_S, POSTED_PACKETS = 60, 1_200
SOCKETS, FRAMES = 10, 1_199  # per second
MAX_CONCURRENT_ROUNDS = 200  # a slow server gets no more at once
RESPONSE_TIMEOUT_S = 20.0
PATH = "/socket.io/?EIO=4&transport="
FRAME = b"\x81\x82\x00\x00\x00\x0040"  # CONNECT as one masked text frame with a mask of zeros


@dataclass
class Attack:
    """One attack and its counts so far."""

    port: int
    rounds: int = 0
    refused: int = 0
    sent_bytes: int = 0
    session: str = ""  # Engine.IO session of the next post
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def posts(self, seconds: float) -> None:
        """Post 1,200 CONNECT packets 60 times per second, to a new session if the last one has ended."""
        start_s = time.monotonic()
        for number in range(int(seconds * POSTS_PER_S)):
            await asyncio.sleep(max(0.0, start_s + number / POSTS_PER_S - time.monotonic()))
            if len(self._tasks) < MAX_CONCURRENT_ROUNDS:
                self._start(self._post())
        await self._finish()

    async def sockets(self, seconds: float) -> None:
        """Open ten WebSockets per second, and send 1,199 CONNECT packets at once on each."""
        start_s = time.monotonic()
        for second in range(int(seconds)):
            await asyncio.sleep(max(0.0, start_s + second - time.monotonic()))
            for _ in range(SOCKETS if len(self._tasks) < MAX_CONCURRENT_ROUNDS else 0):
                self._start(self._flood())
        await self._finish()

    def _start(self, attack_round: object) -> None:
        task = asyncio.create_task(attack_round)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _post(self) -> None:
        with suppress(OSError, TimeoutError):
            if not self.session:
                response = await self._request("GET", f"{PATH}polling")
                self.session = response.partition('"sid":"')[2].partition('"')[0]
            session = self.session
            body = "\x1e".join(["40"] * POSTED_PACKETS)
            response = await self._request("POST", f"{PATH}polling&sid={session}", body)
            self.rounds += 1
            if " 200 " not in response.partition("\r\n")[0]:
                self.refused += 1
                self.session = "" if self.session == session else self.session

    async def _request(self, method: str, path: str, body: str = "") -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            request = (
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
            writer.write(request)
            self.sent_bytes += len(request)
            return (await asyncio.wait_for(reader.read(), RESPONSE_TIMEOUT_S)).decode(errors="replace")
        finally:
            writer.close()

    async def _flood(self) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                key = base64.b64encode(os.urandom(16)).decode()
                head = (
                    f"GET {PATH}websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                    f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
                ).encode()
                writer.write(head)
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), RESPONSE_TIMEOUT_S)
                writer.write(FRAME * FRAMES)
                self.sent_bytes += len(head) + len(FRAME) * FRAMES
                self.rounds += 1
                await asyncio.wait_for(self._until_closed(reader), 5)
            finally:
                writer.close()

    async def _until_closed(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while await reader.read(65_536):
                pass
        self.refused += 1


def main() -> None:
    """Run the attack that the command line names."""
    name, port, seconds = sys.argv[1:]
    attack = Attack(int(port))
    asyncio.run(getattr(attack, {"posts": "posts", "sockets": "sockets"}[name])(float(seconds)))
    print(json.dumps({"rounds": attack.rounds, "refused": attack.refused, "sentBytes": attack.sent_bytes}))


if __name__ == "__main__":
    main()
