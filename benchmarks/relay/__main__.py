"""``python -m benchmarks.relay [burst] [room] [latency] … [attacks]``: the gateway beside a stock Node relay.

A target that is missed is told, never an error; an event that does not arrive is one.
"""

from __future__ import annotations

import resource

from benchmarks.relay.rows import ROWS
from benchmarks.table import measure


def main() -> None:
    """Measure the rows that are named, or all."""
    # A socket is a file: the servers and the clients inherit what is allowed here.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    measure("python -m benchmarks.relay", "Gateway / Node, as ratios.", ROWS)


if __name__ == "__main__":
    main()
