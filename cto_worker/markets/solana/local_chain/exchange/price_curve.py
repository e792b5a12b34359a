"""The price of a demo token: a constant-product curve whose reserve buys and time move.

The state is one number, the reserve in lamports. The reserve of tokens follows from the constant product. All
arithmetic uses integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

_BPS = 10_000
STEP_PPM = 300  # largest movement of a reserve per block, in millionths
MAX_STEP_PPM = 100_000


@dataclass(slots=True)
class PriceCurve:
    """The curve of one token."""

    product: int  # lamports × base units, constant
    reserve: int  # lamports

    def tokens_for(self, lamports: int, *, promised: int = 0) -> int:
        """Return the base units for a buy after other buys of ``promised`` lamports have executed."""
        start = self.reserve + promised
        return self.product // start - self.product // (start + lamports)

    def buy(self, lamports: int) -> None:
        """Move the price by a buy."""
        self.reserve += lamports

    def wander(self, chance: int, step_ppm: int) -> None:
        """Move the price up or down, by at most ``step_ppm``, as ``chance`` says (0–255)."""
        self.reserve += self.reserve * step_ppm * (2 * chance - 255) // (255 * 1_000_000)

    def move(self, bps: int) -> None:
        """Move the price by hundredths of a percent. The price is proportional to the reserve's square."""
        self.reserve = max(1, isqrt(self.reserve**2 * (_BPS + bps) // _BPS))
