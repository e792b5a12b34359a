"""``python -m benchmarks.relay [burst] [room] [latency] … [attacks]``: the gateway against stock servers.

A missed target is printed and is not an error. An event that does not arrive is an error.
"""

from __future__ import annotations

from benchmarks.relay.rows import ROWS
from benchmarks.system import allow_descriptors
from benchmarks.table import measure


def main() -> None:
    """Measure the named rows, or all."""
    allow_descriptors()
    measure(
        "python -m benchmarks.relay", "The gateway against stock servers on Node and Bun, as ratios.", ROWS
    )


if __name__ == "__main__":
    main()
