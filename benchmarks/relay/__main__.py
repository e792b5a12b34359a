"""``python -m benchmarks.relay [burst] [room] [latency] …``: the gateway beside a stock Node relay.

A target that is missed is told, never an error; an event that does not arrive is one.
"""

from __future__ import annotations

import argparse
import resource

from benchmarks.relay.rows import ROWS
from benchmarks.table import print_head


def main() -> None:
    """Measure the rows that are named, or all; print each as soon as it is known."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.relay", description="Gateway / Node, as ratios."
    )
    parser.add_argument("rows", nargs="*", metavar="row", help=f"one of: {', '.join(ROWS)}")
    wanted = parser.parse_args().rows
    if unknown := set(wanted) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    # A socket is a file: the servers and the clients inherit what is allowed here.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print_head()
    for name, lines in ROWS.items():
        if not wanted or name in wanted:
            for line in lines():
                line.print()


if __name__ == "__main__":
    main()
