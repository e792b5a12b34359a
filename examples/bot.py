"""A bot's main loop: starts the operations that users request, and updates one chat message per operation.

    pip install ./clients/python
    CTO_URL=http://127.0.0.1:3000 CTO_TOKEN=... python examples/bot.py state.json

It reads updates from standard input, one per line, as ``<updateId> <userId> <chatId> /cto <token> <SOL>
[wallets]`` or ``… /cancel <jobId>``. It writes the messages that it would send to Telegram, one JSON object
per line. Replace the input and ``Chats`` with your bot library.

The bot can be killed at any moment. After a restart it continues: the update's id is the idempotency key, so
no operation starts twice, and the ``seq`` of the last shown event is saved, so every message becomes current.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cto_client import Client, CTOError

MAX_FOLLOWED = 500  # operations, with one thread each
RETRY_S = 1.0
SERVER_ERRORS = 500  # HTTP statuses from here on say that the server is not available now


class Chats:
    """A stand-in for Telegram. A chat and a message id identify a message."""

    def __init__(self) -> None:
        self._writing = threading.Lock()

    def send(self, chat_id: int, message: str, text: str) -> None:
        """Send a message, or edit it if it was sent before."""
        with self._writing:
            print(json.dumps({"chatId": chat_id, "message": message, "text": text}), flush=True)


class State:
    """The saved state of the bot: the chat and the last shown ``seq`` of each unfinished operation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self.jobs: dict[str, dict[str, int]] = json.loads(path.read_text()) if path.exists() else {}

    def save(self, job_id: str, chat_id: int, seq: int, *, ended: bool = False) -> None:
        """Save the last shown ``seq`` of an operation. The file is replaced atomically."""
        with self._writing:
            self.jobs[job_id] = {"chatId": chat_id, "seq": seq}
            if ended:
                del self.jobs[job_id]
            draft = self._path.with_suffix(".draft")
            draft.write_text(json.dumps(self.jobs))
            draft.replace(self._path)


class Bot:
    """Handles updates, and follows each operation in its own thread."""

    def __init__(self, cto: Client, chats: Chats, state: State) -> None:
        self._cto, self._chats, self._state = cto, chats, state
        self._following = ThreadPoolExecutor(MAX_FOLLOWED)

    def run(self, updates: object) -> None:
        """Resume the saved operations, then handle updates. Returns when every operation has ended."""
        for job_id, saved in list(self._state.jobs.items()):
            self._following.submit(self._follow, job_id, saved["chatId"], saved["seq"])
        for line in updates:  # type: ignore[attr-defined]
            while not self._handle(line):
                time.sleep(RETRY_S)
        self._following.shutdown()

    def _handle(self, line: str) -> bool:
        """Handle an update, or reply with the error. Returns ``False`` if the system is not available."""
        try:
            update_id, user_id, chat, command, *arguments = line.split()
            chat_id = int(chat)
        except ValueError:
            return True  # not an update
        try:
            self._execute(update_id, user_id, chat_id, command, arguments)
        except ValueError:
            self._chats.send(
                chat_id, f"answer {update_id}", "Use /cto <token> <SOL> [wallets], or /cancel <jobId>"
            )
        except CTOError as error:
            if error.status is None or error.status >= SERVER_ERRORS:
                return False
            self._chats.send(chat_id, f"answer {update_id}", f"Sorry: {error} {', '.join(error.fields)}")
        return True

    def _execute(
        self, update_id: str, user_id: str, chat_id: int, command: str, arguments: list[str]
    ) -> None:
        if command == "/cancel":
            (job_id,) = arguments
            self._cto.cancel(job_id)
            return
        if command != "/cto":
            raise ValueError(command)
        token, sol, *wallets = arguments
        request = {
            "tokenAddress": token,
            "userId": user_id,
            "userChatId": chat_id,
            "mode": "standard",
            "buyAmount": float(sol),
            "walletCount": int(wallets[0]) if wallets else 5,
        }
        # A bot that was killed before it confirmed an update receives it again. The key starts it only once.
        job_id = self._cto.submit(request, idempotency_key=f"update-{update_id}")
        if job_id not in self._state.jobs:
            self._state.save(job_id, chat_id, 0)
            self._following.submit(self._follow, job_id, chat_id, 0)

    def _follow(self, job_id: str, chat_id: int, seq: int) -> None:
        try:
            for event in self._cto.follow(job_id, after=seq):
                details = event.details
                current = details.error or details.current_operation or event.phase_description
                self._chats.send(chat_id, job_id, f"{event.progress:.0f} % {event.phase_title}\n{current}")
                self._state.save(job_id, chat_id, event.seq, ended=event.ended)
        except CTOError as error:
            self._chats.send(chat_id, job_id, f"Stopped following {job_id}: {error}")


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit(__doc__)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")  # lost connections
    with Client(os.environ["CTO_URL"], os.environ.get("CTO_TOKEN")) as client:
        Bot(client, Chats(), State(Path(sys.argv[1]))).run(sys.stdin)
