"""The time that a block takes, learned from heights, and the time for which an order may live."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

VALID_BLOCKS = 150  # for which a blockhash is valid
_FINALITY_BLOCKS = 32  # until the block after the last valid one is final
_SPARE_BLOCKS = 18  # an answer of a node that lags
LIFE_BLOCKS = VALID_BLOCKS + _FINALITY_BLOCKS + _SPARE_BLOCKS
_SAFETY = 2.0  # blocks may become slower while an order is in flight
_FIRST_S = 0.4  # until two heights are known
_SHORTEST_S, _LONGEST_S = 0.2, 2.0
_LEAST_BLOCKS = 20  # between two heights that are compared


class BlockTime:
    """Seconds per block. Thread-safe."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._since: tuple[int, float] | None = None
        self._block_s = _FIRST_S

    def note(self, height: int) -> None:
        """Learn from the present height."""
        now_s = self._now_s()
        with self._lock:
            if self._since is None or height < self._since[0]:
                self._since = height, now_s
            elif (blocks := height - self._since[0]) >= _LEAST_BLOCKS:
                self._block_s = min(max((now_s - self._since[1]) / blocks, _SHORTEST_S), _LONGEST_S)
                self._since = height, now_s

    @property
    def order_life_s(self) -> float:
        """Return the time in which an order executes or certainly expires, with a reserve."""
        return LIFE_BLOCKS * self._block_s * _SAFETY
