"""The Telegram bot of the examples on a real system, with a stub of Telegram's Bot API."""

from __future__ import annotations

import asyncio
import runpy
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.fork_server import BOT, CLIENT
from support.processes import Process, run
from support.samples import MINT
from support.telegram import USER, Telegram
from support.waiting import wait_until

ROOT = Path(__file__).parents[2]
TEXT_LIMIT = 4_096  # characters of a message; https://core.telegram.org/bots/api#sendmessage


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
            "PYTHONPATH": str(CLIENT),
            "BOT_TOKEN": "1:token",
            "CTO_URL": system.url,
            "TELEGRAM_URL": telegram.url,
        }
        processes.append(Process([*BOT, tmp_path / "state.json"], env, tmp_path / "bot.log"))
        return processes[-1]

    yield bot
    for process in processes:
        process.kill()


def last(telegram, number=1):
    return telegram.messages.get(number, [""])[-1]


def test_an_operation_is_shown_in_one_message_that_is_edited_until_its_end(telegram, bot):
    bot()
    telegram.write(f"/cto {MINT} 0.5 8")
    telegram.failures = [429, 502, 0]
    wait_until(lambda: "CTO Operation Completed" in last(telegram), timeout_s=120)
    assert not telegram.failures
    assert list(telegram.messages) == [1]
    assert "8 buys succeeded" in last(telegram)
    assert max(len(text) for text in telegram.messages[1]) <= TEXT_LIMIT


def test_a_restarted_bot_continues_the_message_and_starts_nothing_twice(telegram, bot, system, tmp_path):
    first = bot()
    telegram.write(f"/cto {MINT} 0.5 10")
    wait_until((tmp_path / "state.json").exists)
    first.kill()
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
    for number, text in enumerate(("/cancel", "/start", "/help"), 4):
        telegram.write(text)
        wait_until(lambda number=number: "Use /cto" in last(telegram, number))


def test_a_user_cannot_cancel_the_operation_of_another(telegram, bot, system):
    bot()
    telegram.write(f"/cto {MINT} 0.5 50")
    wait_until(lambda: telegram.messages)
    job_id = telegram.messages[1][0].split()[1]
    telegram.write(f"/cancel {job_id}", user=1)
    wait_until(lambda: f"you have no operation {job_id}" in last(telegram, 2))
    telegram.write(f"/cancel {job_id}")
    wait_until(lambda: last(telegram, 3).startswith(f"Cancelling {job_id}"))
    wait_until(lambda: "Cancelled on request" in last(telegram))


def test_a_bot_without_its_settings_names_them():
    env = {"PYTHONPATH": str(CLIENT), "CTO_URL": "http://127.0.0.1:1"}
    done = run([*BOT, "state.json"], env)
    assert done.returncode == 1
    assert done.stderr.endswith("Not set: BOT_TOKEN\n")


def test_the_stub_of_the_examples_is_a_chat_with_a_bot(capsys):
    from aiogram import Bot  # noqa: PLC0415 - every test process would spend seconds on these imports
    from aiogram.client.session.aiohttp import AiohttpSession  # noqa: PLC0415
    from aiogram.client.telegram import TelegramAPIServer  # noqa: PLC0415

    stub = SimpleNamespace(**runpy.run_path(str(ROOT / "examples/telegram_stub.py")))
    chat = stub.Chat()
    server = stub.server(chat, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    api = TelegramAPIServer.from_base(f"http://127.0.0.1:{server.server_port}")

    async def talk():
        async with Bot("1:stub", session=AiohttpSession(api=api)) as bot:
            assert (await bot.me()).username == "stub_bot"
            assert await bot.get_updates() == []
            chat.write("/cto x")
            (update,) = await bot.get_updates()
            assert update.message.text == "/cto x"
            assert await bot.get_updates(offset=update.update_id + 1) == []
            assert await bot.get_updates() == [], "a restarted bot does not get confirmed updates again"
            sent = await bot.send_message(update.message.chat.id, "first")
            await bot.edit_message_text("second", chat_id=sent.chat.id, message_id=sent.message_id)

    asyncio.run(talk())
    server.shutdown()
    thread.join()
    server.server_close()
    assert capsys.readouterr().out == "[1] first\n[1] second\n"
