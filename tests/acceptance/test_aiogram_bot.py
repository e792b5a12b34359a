"""The Telegram bot of the examples on a real system, with a stub of Telegram's Bot API."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from support.samples import MINT
from support.waiting import wait_until

ROOT = Path(__file__).parents[2]
CHAT, USER = 42, 4242
TEXT_LIMIT = 4_096  # characters of a message; https://core.telegram.org/bots/api#sendmessage


class Telegram(ThreadingHTTPServer):
    """Delivers updates, as getUpdates does, and keeps every message with its texts."""

    daemon_threads = True
    handle_error = lambda *_: None  # noqa: E731 - a killed bot resets its connections

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Method)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.updates, self.messages = [], {}
        self.first_update = time.time_ns() // 1_000_000  # each bot has its own ids
        self.refuse_next_edit = False
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
        if method == "editMessageText" and server.refuse_next_edit:
            server.refuse_next_edit = False
            self._send(
                429, {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 1}}
            )
        else:
            self._send(200, {"ok": True, "result": server.answer(method, fields)})

    do_GET = do_POST  # noqa: N815 - the name that the base class calls

    def _send(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def telegram():
    server = Telegram()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def bot(system, telegram, tmp_path):
    """Start the bot: ``bot()`` returns its process."""
    processes = []

    def bot():
        env = {
            "PYTHONPATH": str(ROOT / "clients/python/src"),
            "BOT_TOKEN": "1:token",
            "CTO_URL": system.url,
            "TELEGRAM_URL": telegram.url,
        }
        log = (tmp_path / "bot.log").open("ab")
        command = [sys.executable, ROOT / "examples/aiogram_bot.py", tmp_path / "state.json"]
        processes.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))
        log.close()
        return processes[-1]

    yield bot
    for process in processes:
        process.kill()
        process.wait()


def last(telegram, number=1):
    return telegram.messages.get(number, [""])[-1]


def test_an_operation_is_shown_in_one_message_that_is_edited_until_its_end(telegram, bot):
    bot()
    telegram.write(f"/cto {MINT} 0.5 8")
    telegram.refuse_next_edit = True
    wait_until(lambda: "CTO Operation Completed" in last(telegram), timeout_s=120)
    assert list(telegram.messages) == [1]
    assert "8 buys succeeded" in last(telegram)
    assert max(len(text) for text in telegram.messages[1]) <= TEXT_LIMIT


def test_a_restarted_bot_continues_the_message_and_starts_nothing_twice(telegram, bot, system, tmp_path):
    first = bot()
    telegram.write(f"/cto {MINT} 0.5 10")
    wait_until((tmp_path / "state.json").exists)
    first.kill()
    first.wait()
    bot()
    wait_until(lambda: "CTO Operation Completed" in last(telegram), timeout_s=120)
    assert list(telegram.messages) == [1], "the update that Telegram sends again gets no second message"
    jobs = system.get("/api/cto/jobs", userId=str(USER))["jobs"]
    assert jobs[0]["jobId"] in telegram.messages[1][0]


def test_a_wrong_command_is_answered_with_its_usage_and_an_error_with_its_text(telegram, bot):
    bot()
    telegram.write("/cto nonsense")
    wait_until(lambda: "Use /cto" in last(telegram))
    telegram.write(f"/cto {MINT} -1")
    wait_until(lambda: last(telegram, 2).startswith("Sorry: "))
    telegram.write("/cancel 12345")
    wait_until(lambda: last(telegram, 3).startswith("Sorry: "))


def test_a_user_cannot_cancel_the_operation_of_another(telegram, bot, system):
    bot()
    telegram.write(f"/cto {MINT} 0.5 50")
    wait_until(lambda: telegram.messages)
    job_id = telegram.messages[1][0].split()[1]
    telegram.write(f"/cancel {job_id}", user=1)
    wait_until(lambda: f"you have no operation {job_id}" in last(telegram, 2))
    telegram.write(f"/cancel {job_id}")
    wait_until(lambda: "Cancelled on request" in last(telegram))
