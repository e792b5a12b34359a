"""Times on the command line: exact ones, and ages."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

import click

_AGO = re.compile(r"(\d+)([smhd])\Z")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class TimeParameter(click.ParamType[int]):
    """A time, in milliseconds since 1970: an ISO 8601 time, or an age such as ``24h`` or ``7d``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the milliseconds. A time without a zone is in the zone of this machine."""
        if ago := _AGO.match(str(value)):
            return round(time.time() * 1_000) - int(ago[1]) * _UNIT_MS[ago[2]]
        try:
            return round(datetime.fromisoformat(value).timestamp() * 1_000)
        except (ValueError, OverflowError):
            self.fail(f"{value!r}: use 2026-11-30, 2026-11-30T08:05:12Z, or an age such as 24h", param, ctx)
