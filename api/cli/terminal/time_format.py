"""Times and durations as short texts."""

from __future__ import annotations

from datetime import datetime

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def short_duration(seconds: float) -> str:
    """Return a duration in its largest unit, rounded down: ``47s``, ``5m``, ``3h``, ``2d``."""
    for unit, length_s in _UNITS:
        if seconds >= length_s:
            return f"{seconds // length_s:.0f}{unit}"
    return "0s"


def exact_duration(milliseconds: int) -> str:
    """Return a duration with two units: ``3.2s``, ``4m05s``, ``2h07m``."""
    if milliseconds < 60_000:  # noqa: PLR2004 - a minute
        return f"{milliseconds / 1_000:.1f}s"
    minutes, seconds = divmod(milliseconds // 1_000, 60)
    return f"{minutes}m{seconds:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"  # noqa: PLR2004


def local_time(timestamp_ms: int) -> str:
    """Return a time in the time zone of this machine: ``2026-11-30 08:05:12.345``."""
    local = datetime.fromtimestamp(timestamp_ms / 1_000).astimezone()
    return local.isoformat(" ", "milliseconds")[:23]


def time_zone(timestamp_ms: int) -> str:
    """Return the name of the zone of :func:`local_time`: ``CET``."""
    return datetime.fromtimestamp(timestamp_ms / 1_000).astimezone().tzname() or "local time"
