"""The storage of the rate limit's windows: one round trip for each request, instead of two."""

from __future__ import annotations

import threading

from limits.storage import RedisStorage

# Both scripts of the library, as functions: each reads its arguments from ARGV.
_COUNT_AND_READ = b"""
local function count(ARGV) %b
end
local function read(ARGV) %b
end
return {count(ARGV), read({ARGV[2]})}
""" % (RedisStorage.SCRIPT_ACQUIRE_SLIDING_WINDOW, RedisStorage.SCRIPT_SLIDING_WINDOW)


class RequestWindowStorage(RedisStorage):
    """Counts a request, and reads its window for the response's headers at the same time.

    The window is kept until the same thread asks for it.
    """

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._count_and_read = self.get_connection().register_script(_COUNT_AND_READ)
        self._read = threading.local()

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Return whether the request is within the limit."""
        counted, window = self._count_and_read(self._names(key), [limit, expiry, amount])
        self._read.window = key, window
        return bool(counted)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return the requests, and the seconds left, of the previous window and of the current one."""
        counted_key, window = vars(self._read).pop("window", (None, None))
        if counted_key != key:
            window = self.lua_sliding_window(self._names(key), [expiry])
        previous, previous_ms, current, current_ms = window
        # The library takes the remainder by the window's length, which is 0 in its first millisecond.
        return int(previous or 0), _seconds(previous_ms), int(current or 0), _seconds(current_ms - 1)

    def _names(self, key: str) -> list[str]:
        """Return the names of the previous window and of the current one, as the library does."""
        current = self.prefixed_key(f"{{{key}}}")
        return [f"{current}/-1", current]


def _seconds(ms: int) -> float:
    return max(0, ms) / 1_000
