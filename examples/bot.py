"""A bot's loop: starts operations that its users ask for, and keeps one message of each up to date.

    python examples/bot.py state.json

It reads updates from its standard input, one a line, as ``<updateId> <userId> <chatId> /cto <token> <SOL>
[wallets]`` or ``… /cancel <jobId>``, and writes what it would send to Telegram, one JSON object a line: put
your bot's library in place of that and of ``Chats``. Killed at any moment and started again, it goes on
where it was: nothing is bought twice, for an update's id is its idempotency key, and every message ends
true, for the ``seq`` last shown is kept.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from cto_worker.client import Client
from cto_worker.errors import CtoError, NotDurableError

AT_ONCE = 500  # operations that are followed
RETRY_S = 1.0


class Chats:
    """Stands for Telegram. A message is known by chat and number, as there."""

    def __init__(self) -> None:
        self._writing = threading.Lock()

    def say(self, chat_id: int, message: str, text: str) -> None:
        """Send a message, or change it if it has been sent."""
        with self._writing:
            print(json.dumps({"chatId": chat_id, "message": message, "text": text}), flush=True)


class State:
    """What must outlive the bot: of each open operation its chat and the ``seq`` last shown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self.jobs: dict[str, dict[str, int]] = json.loads(path.read_text()) if path.exists() else {}

    def note(self, job_id: str, chat_id: int, seq: int, *, ended: bool = False) -> None:
        """Remember how far an operation's message is. The file is whole at every moment."""
        with self._writing:
            self.jobs[job_id] = {"chatId": chat_id, "seq": seq}
            if ended:
                del self.jobs[job_id]
            draft = self._path.with_suffix(".draft")
            draft.write_text(json.dumps(self.jobs))
            draft.replace(self._path)


class Bot:
    """Reads updates, and follows each operation in a thread of its own."""

    def __init__(self, cto: Client, chats: Chats, state: State) -> None:
        self._cto, self._chats, self._state = cto, chats, state
        self._following = ThreadPoolExecutor(AT_ONCE)

    def run(self, updates: object) -> None:
        """Go on with what was under way, then do what updates ask for. Returns when all of it has ended."""
        for job_id, kept in list(self._state.jobs.items()):
            self._following.submit(self._follow, job_id, kept["chatId"], kept["seq"])
        for line in updates:  # type: ignore[attr-defined]
            while not self._settled(line):
                time.sleep(RETRY_S)
        self._following.shutdown()

    def _settled(self, line: str) -> bool:
        """Do what an update asks for, or say why not. ``False`` while the store is away: ask again."""
        try:
            update_id, user_id, chat, command, *words = line.split()
            chat_id = int(chat)
        except ValueError:
            return True  # no update
        try:
            self._take(update_id, user_id, chat_id, command, words)
        except (RedisError, OperationalError, NotDurableError):
            return False
        except ValueError:
            self._chats.say(
                chat_id, f"answer {update_id}", "Say /cto <token> <SOL> [wallets], or /cancel <jobId>"
            )
        except CtoError as error:
            self._chats.say(chat_id, f"answer {update_id}", f"Sorry: {error}")
        return True

    def _take(self, update_id: str, user_id: str, chat_id: int, command: str, words: list[str]) -> None:
        if command == "/cancel":
            (job_id,) = words
            self._cto.cancel(job_id)
            return
        if command != "/cto":
            raise ValueError(command)
        token, sol, *wallets = words
        request = {
            "tokenAddress": token,
            "userId": user_id,
            "userChatId": chat_id,
            "mode": "standard",
            "buyAmount": float(sol),
            "walletCount": int(wallets[0]) if wallets else 5,
        }
        # A bot that was killed before it could say that it had read an update gets it again: it starts once.
        job_id = self._cto.submit(request, idempotency_key=f"update-{update_id}")
        if job_id not in self._state.jobs:
            self._state.note(job_id, chat_id, 0)
            self._following.submit(self._follow, job_id, chat_id, 0)

    def _follow(self, job_id: str, chat_id: int, seq: int) -> None:
        try:
            for event in self._cto.follow([job_id], {job_id: seq}):
                details = event.details
                doing = details.error or details.current_operation or event.phase_description
                self._chats.say(chat_id, job_id, f"{event.progress:.0f} % {event.phase_title}\n{doing}")
                self._state.note(job_id, chat_id, event.seq, ended=event.status.terminal)
        except CtoError as error:
            self._chats.say(chat_id, job_id, f"Lost sight of it: {error}")


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit(__doc__)
    with Client() as client:
        Bot(client, Chats(), State(Path(sys.argv[1]))).run(sys.stdin)
