"""The tutorial, as a reader pastes it: in a real system, with a stub of Telegram and a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess

import pytest
from support.documents import ROOT, block
from support.processes import BIN, Process, environment, free_port, is_ready
from support.telegram import USER, Telegram
from support.waiting import wait_until

PAGE = "docs/tutorial.md"
CLIENT = ROOT / "clients" / "python" / "src"


class Reader:
    """Runs the commands of the tutorial in a folder, with the ports of this test."""

    def __init__(self, folder):
        self.folder, self.pages_port = folder, free_port()
        env = environment()
        for name in ("CTO_AUTH", "CTO_PAPER_LATENCY_MS"):
            del env[name]  # the tutorial uses the defaults
        self.env = env | {"PATH": f"{BIN}:{os.environ['PATH']}"}
        self.started = []

    def adapted(self, code):
        assert "@CTO_AUTH=off $(BIN)/cto up" in (ROOT / "Makefile").read_text()
        code = code.replace("make up", "CTO_AUTH=off cto up")  # without the installation
        return code.replace("127.0.0.1:3000", f"127.0.0.1:{self.env['CTO_PORT']}").replace(
            "8080", str(self.pages_port)
        )

    def save(self, name, first):
        (self.folder / name).write_text(self.adapted(block(PAGE, first).code))

    def run(self, code, **replaced):
        for found, value in replaced.items():
            code = code.replace(found.removeprefix("n"), value)
        return subprocess.run(
            ["bash", "-euc", self.adapted(code)],
            cwd=self.folder,
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def start(self, code, **variables):
        command = ["bash", "-euc", f"cd {self.folder}\n" + self.adapted(code)]
        log = self.folder / f"terminal-{len(self.started)}.log"
        self.started.append(Process(command, self.env | {"PYTHONUNBUFFERED": "1"} | variables, log))
        return self.started[-1]

    def start_bot(self, first, telegram):
        code = block(PAGE, first).code.replace("bot-venv/bin/", "")  # without the installation
        return self.start(code, PYTHONPATH=str(CLIENT), TELEGRAM_URL=telegram.url)

    def interrupt(self, process):
        process.signal(signal.SIGINT)
        process.process.wait(60)


@pytest.fixture
def reader(tmp_path):
    reader = Reader(tmp_path)
    yield reader
    for process in reader.started:
        if process.alive:
            process.signal(signal.SIGTERM)
    for process in reader.started:
        process.process.wait(60)
    shutil.rmtree(reader.env["CTO_DATA_DIR"], ignore_errors=True)


@pytest.fixture
def telegram():
    server = Telegram()
    yield server
    server.shutdown()
    server.server_close()


def ready(process):
    wait_until(lambda: is_ready(process.log.read_text()) or not process.alive, timeout_s=120)
    assert process.alive, process.log.read_text()


def send(telegram):
    """Send the message of the tutorial. Return the number of the answer."""
    number = len(telegram.messages) + 1
    telegram.write(block(PAGE, "/cto").code.strip())
    wait_until(lambda: number in telegram.messages)
    return number


def wait_for_text(telegram, number, text):
    wait_until(lambda: text in telegram.messages[number][-1], timeout_s=120)


@pytest.mark.timeout(600)
def test_the_tutorial_works_as_pasted(reader, telegram, context, troubles):
    for expected in ("401 (", "no valid credentials", "ERR_CONNECTION_REFUSED"):
        troubles.expect(expected)  # without a token, and while the system restarts
    up = reader.start(block(PAGE, "CTO_OPERATION_PARALLELISM=1 CTO_CORS_ORIGINS").code)
    ready(up)
    assert "3 buys succeeded, 0 failed" in reader.run(block(PAGE, "cto submit").code)

    reader.save("bot.py", "import asyncio")
    bot = reader.start_bot("BOT_TOKEN", telegram)
    wait_for_text(telegram, send(telegram), block(PAGE, "100 %, run 1").code.strip())

    reader.save("page.html", "<!doctype html>")
    pages = reader.start(block(PAGE, "python -m http.server").code)
    wait_until(lambda: "Serving HTTP" in pages.log.read_text())
    number = send(telegram)
    job_id, address = telegram.messages[number][0].split()
    page = context.new_page()
    page.goto(address)
    page.get_by_text("live", exact=True).wait_for()
    row = page.locator(f"#job-{job_id}")
    row.wait_for()
    page.reload()
    row.get_by_text("100 % CTO Operation Completed").wait_for()
    page.reload()
    row.get_by_text("100 % CTO Operation Completed").wait_for()

    worker = re.search(r"workers .*?:(\d+)", reader.run(block(PAGE, "cto doctor").code))[1]
    number = send(telegram)
    page.locator("li", has_text="Executing Operation").wait_for()
    reader.run(block(PAGE, "kill -9").code, n2192=worker)
    wait_for_text(telegram, number, "100 %, run 2: 10 buys succeeded, 0 failed")
    assert "buy" in reader.run(block(PAGE, "cto market ledger").code)

    reader.interrupt(bot)
    reader.interrupt(up)
    telegram.updates.clear()
    telegram.first_update += 1_000
    secret, start = block(PAGE, "export CTO_JWT_SECRET").code.splitlines()
    reader.env["CTO_JWT_SECRET"] = reader.run(f'{secret}\nprintf %s "$CTO_JWT_SECRET"')
    ready(reader.start(start))
    page.reload()
    page.get_by_text("refused").wait_for()
    reader.start_bot("export CTO_TOKEN", telegram)
    private = context.new_page()
    private.goto(reader.run(block(PAGE, "echo").code, n4242=str(USER)).strip())
    private.get_by_text("live", exact=True).wait_for()
    number = send(telegram)
    job_id = telegram.messages[number][0].split()[0]
    private.locator(f"#job-{job_id}", has_text="100 % CTO Operation Completed").wait_for()
    wait_for_text(telegram, number, "100 %, run 1")
