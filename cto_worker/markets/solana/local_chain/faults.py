"""Faults on demand: what networks and nodes do to a client."""

from __future__ import annotations

import random
from typing import Annotated

import msgspec

Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Blocks = Annotated[int, msgspec.Meta(ge=0, le=300)]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The faults of one node. Rates are fractions of the requests."""

    drop: Rate = 0.0  # sends that never reach a block
    delay: Rate = 0.0  # sends that wait before they reach a block
    delay_blocks: Blocks = 0  # longest wait
    lag_blocks: Blocks = 0  # largest lag of a read behind the latest block
    lost_reply: Rate = 0.0  # requests that are carried out, but whose connection closes without an answer
    overload: Rate = 0.0  # requests that get the status 429 and have no effect
    seed: int = 0  # of the choices


class FaultyNode:
    """One node of the chain: it makes the choices that its faults allow."""

    def __init__(self) -> None:
        self.set(Faults())

    def set(self, faults: Faults) -> None:
        """Replace the faults."""
        self.faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 - repeatable on purpose

    def drops(self) -> bool:
        """Return whether a send is lost."""
        return self._chance(self.faults.drop)

    def delay_blocks(self) -> int:
        """Return the number of blocks that a send waits before the next block may contain it."""
        return (
            self._random.randint(1, max(1, self.faults.delay_blocks))
            if self._chance(self.faults.delay)
            else 0
        )

    def lag_blocks(self) -> int:
        """Return how many blocks a read is behind."""
        return self._random.randint(0, self.faults.lag_blocks) if self.faults.lag_blocks else 0

    def loses_reply(self) -> bool:
        """Return whether the answer to a request is lost."""
        return self._chance(self.faults.lost_reply)

    def is_overloaded(self) -> bool:
        """Return whether a request is refused."""
        return self._chance(self.faults.overload)

    def _chance(self, rate: float) -> bool:
        return rate > 0 and self._random.random() < rate
