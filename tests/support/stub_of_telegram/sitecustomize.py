"""Put on a bot's path, this sends the requests of aiogram to the stub at ``TELEGRAM_URL``."""

import os

from aiogram.client import telegram

object.__setattr__(telegram.PRODUCTION, "base", os.environ["TELEGRAM_URL"] + "/bot{token}/{method}")
