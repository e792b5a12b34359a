"""A stand-in for Telegram: a chat with a bot in the terminal, to try a bot without an account at Telegram.

    python examples/telegram_stub.py
    TELEGRAM_URL=http://127.0.0.1:8081 BOT_TOKEN=1:stub CTO_URL=... python examples/aiogram_bot.py state.json

Type the messages of the user. The stub prints each message and each edit of the bot, with the message's
number. The bot must use ``TELEGRAM_URL`` as the address of the Bot API. ``PORT`` chooses another port.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

USER: dict[str, Any] = {"id": 4242, "is_bot": False, "first_name": "You"}
BOT: dict[str, Any] = {"id": 1, "is_bot": True, "first_name": "Bot", "username": "stub_bot"}
POLL_S = 0.2


class Chat:
    """The chat of one user with the bot."""

    def __init__(self) -> None:
        self._updates: list[dict[str, Any]] = []
        # A restarted stub must not repeat ids: they are idempotency keys.
        self._numbers = itertools.count(int(time.time()))
        self._sent = 0

    def write(self, text: str) -> None:
        """Send a message of the user to the bot."""
        number = next(self._numbers)
        command = {"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}
        message = {**self._message(number, text), "from": USER}
        if text.startswith("/"):
            message["entities"] = [command]
        self._updates.append({"update_id": number, "message": message})

    def answer(self, method: str, fields: dict[str, str]) -> Any:
        """Return the result of a method of the Bot API."""
        if method == "getMe":
            return BOT
        if method == "getUpdates":
            # As Telegram does, forget what the bot has confirmed: a restarted bot must not get it again.
            offset = int(fields.get("offset") or 0)
            while self._updates and self._updates[0]["update_id"] < offset:
                self._updates.pop(0)
            time.sleep(0 if self._updates else POLL_S)
            return list(self._updates)
        if method not in {"sendMessage", "editMessageText"}:
            return True
        if method == "sendMessage":
            self._sent += 1
        number = int(fields.get("message_id", self._sent))
        print(f"[{number}] {fields['text']}", flush=True)
        return self._message(number, fields["text"])

    @staticmethod
    def _message(number: int, text: str) -> dict[str, Any]:
        chat = {"id": USER["id"], "type": "private"}
        return {"message_id": number, "date": int(time.time()), "chat": chat, "text": text}


def server(chat: Chat, port: int) -> ThreadingHTTPServer:
    """Return an HTTP server of the Bot API for this chat."""

    class Method(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            fields = {name: values[0] for name, values in parse_qs(body).items()}
            result = chat.answer(self.path.rpartition("/")[2], fields)
            content = json.dumps({"ok": True, "result": result}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print messages only."""

    listening = ThreadingHTTPServer(("127.0.0.1", port), Method)
    listening.daemon_threads = True
    return listening


if __name__ == "__main__":
    chat = Chat()
    bot_api = server(chat, int(os.environ.get("PORT", "8081")))
    threading.Thread(target=bot_api.serve_forever, daemon=True).start()
    print(f"TELEGRAM_URL=http://127.0.0.1:{bot_api.server_port}", flush=True)
    for line in sys.stdin:
        if line.strip():
            chat.write(line.strip())
