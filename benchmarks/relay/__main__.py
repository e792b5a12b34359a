"""``python -m benchmarks.relay [burst] [room] [latency] … [attacks]``: gateway against Node.

A missed target is printed and is not an error. An event that does not arrive is an error.
"""

from __future__ import annotations

import resource

from benchmarks.relay.rows import ROWS
from benchmarks.table import measure


def main() -> None:
    """Measure the named rows, or all."""
    # Each socket is a file. Servers and clients inherit this limit.
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    measure("python -m benchmarks.relay", "Gateway / Node, as ratios.", ROWS)


if __name__ == "__main__":
    main()
