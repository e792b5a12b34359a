"""A Telegram bot: starts operations, and shows the progress of each in one message that it edits.

    pip install aiogram ./clients/python
    BOT_TOKEN=... CTO_URL=http://localhost:3000 CTO_TOKEN=... python examples/aiogram_bot.py state.json

``TELEGRAM_URL`` replaces Telegram's address, for example by that of ``examples/telegram_stub.py``.

Telegram limits how often a bot may edit a message, so a message is edited every three seconds at most, and
always at the end. The bot can be killed at any moment: the ids of bot and update are the idempotency key, so
no operation starts twice, and the messages of unfinished operations are continued after a restart.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.filters import Command, CommandObject
from aiogram.types import Message, Update  # noqa: TC002 - a bot library may read annotations
from cto_client import AsyncClient, CTOError, Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

EDIT_EVERY_S = 3.0
RETRY_S = 3.0  # delay after a request that Telegram did not answer
USAGE = "Use /cto <token> <SOL> [wallets], or /cancel <jobId>"


class Progress:
    """The messages of unfinished operations, and the last update, saved in a file."""

    def __init__(self, bot: Bot, cto: AsyncClient, path: Path) -> None:
        self._bot, self._cto, self._path = bot, cto, path
        saved = json.loads(path.read_text()) if path.exists() else {"messages": {}, "lastUpdate": 0}
        self._messages: dict[str, list[int]] = saved["messages"]  # chat and message by job
        self._last_update: int = saved["lastUpdate"]
        self._tasks: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Continue the messages of the last run."""
        for job_id in self._messages:
            self._start(job_id)

    async def show(self, job_id: str, chat_id: int, update_id: int) -> None:
        """Send a message for an operation, and edit it until the operation has ended.

        An update that Telegram delivers again, because the bot was killed, has its message already.
        """
        if update_id <= self._last_update:
            return
        message = await until_answered(lambda: self._bot.send_message(chat_id, f"Starting {job_id} …"))
        self._last_update = update_id
        self._messages[job_id] = [chat_id, message.message_id]
        self._save()
        self._start(job_id)

    def _start(self, job_id: str) -> None:
        task = asyncio.create_task(self._follow(job_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, job_id: str) -> None:
        latest: list[Event] = []
        editing = asyncio.create_task(self._edit_regularly(job_id, latest))
        try:
            async for event in self._cto.follow(job_id):
                latest[:] = [event]
            text = text_of(latest[0])
        except CTOError as error:
            text = f"Stopped following {job_id}: {error.message}"
        editing.cancel()
        await self._edit(job_id, text)
        del self._messages[job_id]
        self._save()

    async def _edit_regularly(self, job_id: str, latest: list[Event]) -> None:
        shown = None
        while True:
            await asyncio.sleep(EDIT_EVERY_S)
            if latest and latest[0] != shown:
                shown = latest[0]
                await self._edit(job_id, text_of(shown))

    async def _edit(self, job_id: str, text: str) -> None:
        chat_id, message_id = self._messages[job_id]
        # The text has not changed, the user deleted the message, or blocked the bot.
        with suppress(TelegramBadRequest, TelegramForbiddenError):
            await until_answered(
                lambda: self._bot.edit_message_text(text, chat_id=chat_id, message_id=message_id)
            )

    def _save(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({"messages": self._messages, "lastUpdate": self._last_update}))
        draft.replace(self._path)


async def until_answered(request: Callable[[], Awaitable[T]]) -> T:
    """Repeat a request while Telegram is not reachable, fails, or refuses too many requests."""
    while True:
        try:
            return await request()
        except TelegramRetryAfter as limit:
            await asyncio.sleep(limit.retry_after)
        except (TelegramNetworkError, TelegramServerError):
            await asyncio.sleep(RETRY_S)


def text_of(event: Event) -> str:
    """Return what a user reads about an operation."""
    details = event.details
    if event.ended:
        return f"{event.phase_title}\n{details.error or event.phase_description}"
    return (
        f"{event.progress:.0f} % {event.phase_title}\n{details.current_operation or event.phase_description}"
    )


def user_of(message: Message) -> str:
    """Return the id of the user that wrote a message."""
    return str(message.from_user.id if message.from_user else message.chat.id)


def key_of(bot: Bot, update: Update) -> str:
    """Return the idempotency key of an update. It contains the bot's id: each bot counts its own updates."""
    return f"bot-{bot.id}-update-{update.update_id}"


def operation_of(message: Message, arguments: str) -> dict[str, Any]:
    """Return the operation that a command asks for. Raises ``ValueError``."""
    token, sol, *wallets = arguments.split()
    return {
        "tokenAddress": token,
        "userId": user_of(message),
        "userChatId": message.chat.id,
        "mode": "standard",
        "buyAmount": float(sol),
        "walletCount": int(wallets[0]) if wallets else 5,
    }


def dispatcher(cto: AsyncClient, progress: Progress) -> Dispatcher:
    """Return the handlers of the commands."""
    handlers = Dispatcher()

    @handlers.message(Command("cto"))
    async def start(message: Message, bot: Bot, command: CommandObject, event_update: Update) -> None:
        try:
            operation = operation_of(message, command.args or "")
        except ValueError:
            await message.answer(USAGE)
            return
        try:
            job_id = await cto.submit(operation, idempotency_key=key_of(bot, event_update))
        except CTOError as error:
            await message.answer(f"Sorry: {error.message}")
            return
        await progress.show(job_id, message.chat.id, event_update.update_id)

    @handlers.message(Command("start", "help"))
    async def explain(message: Message) -> None:
        await message.answer(USAGE)

    @handlers.message(Command("cancel"))
    async def cancel(message: Message, command: CommandObject) -> None:
        job_id = (command.args or "").strip()
        if not job_id:
            await message.answer(USAGE)
            return
        try:
            job = await cto.status(job_id)
            if job.latest_progress.user_id != user_of(message):  # the bot's token may cancel every job
                await message.answer(f"Sorry: you have no operation {job_id}")
                return
            await cto.cancel(job_id)
        except CTOError as error:
            await message.answer(f"Sorry: {error.message}")
            return
        await message.answer(f"Cancelling {job_id}: it begins no further transfer or buy")

    return handlers


async def main(state: Path) -> None:
    """Run the bot until it is stopped."""
    server = TelegramAPIServer.from_base(os.environ.get("TELEGRAM_URL", "https://api.telegram.org"))
    bot = Bot(os.environ["BOT_TOKEN"], session=AiohttpSession(api=server))
    async with AsyncClient(os.environ["CTO_URL"], os.environ.get("CTO_TOKEN")) as cto:
        progress = Progress(bot, cto, state)
        progress.resume()
        # One after another: an update is confirmed to Telegram only after its message is saved.
        await dispatcher(cto, progress).start_polling(bot, handle_as_tasks=False)


if __name__ == "__main__":
    missing = [name for name in ("BOT_TOKEN", "CTO_URL") if not os.environ.get(name)]
    if len(sys.argv) != 2 or missing:  # noqa: PLR2004
        sys.exit(f"{__doc__}\nNot set: {', '.join(missing)}" if missing else __doc__)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")  # lost connections
    asyncio.run(main(Path(sys.argv[1])))
