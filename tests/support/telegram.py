"""A stub of Telegram's Bot API."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

CHAT, USER = 42, 4242


class Telegram(ThreadingHTTPServer):
    """Delivers updates, as getUpdates does, and keeps every message with its texts."""

    daemon_threads = True
    handle_error = lambda *_: None  # noqa: E731 - a killed bot resets its connections

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Method)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.updates, self.messages = [], {}
        self.first_update = time.time_ns() // 1_000_000  # each bot has its own ids
        self.failures = []  # of the next edits: an HTTP status, or 0 to close the connection
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def write(self, text, user=USER):
        number = self.first_update + len(self.updates)
        message = {
            "message_id": number,
            "date": int(time.time()),
            "chat": {"id": CHAT, "type": "private"},
            "from": {"id": user, "is_bot": False, "first_name": "A"},
            "text": text,
            "entities": [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}],
        }
        self.updates.append({"update_id": number, "message": message})

    def answer(self, method, fields):
        if method == "getMe":
            return {"id": 1, "is_bot": True, "first_name": "CTO", "username": "cto_bot"}
        if method == "getUpdates":
            wanted = int(fields.get("offset") or 0)
            news = [update for update in self.updates if update["update_id"] >= wanted]
            time.sleep(0 if news else 0.1)
            return news
        if method == "sendMessage":
            number = len(self.messages) + 1
            self.messages[number] = [fields["text"]]
            return self._message(number)
        if method == "editMessageText":
            number = int(fields["message_id"])
            self.messages[number].append(fields["text"])
            return self._message(number)
        return True

    def _message(self, number):
        chat = {"id": CHAT, "type": "private"}
        return {"message_id": number, "date": 1, "chat": chat, "text": self.messages[number][-1]}


class Method(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        method, server = self.path.rpartition("/")[2], self.server
        if method == "editMessageText" and server.failures:
            self._fail(server.failures.pop(0))
        else:
            self._send(200, {"ok": True, "result": server.answer(method, fields)})

    do_GET = do_POST  # noqa: N815 - the name that the base class calls

    def _fail(self, status):
        if status:
            failure = {"ok": False, "error_code": status, "description": "failed"}
            self._send(status, failure | ({"parameters": {"retry_after": 1}} if status == 429 else {}))
        self.close_connection = True

    def _send(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
