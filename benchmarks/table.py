"""The table of ratios that the benchmarks print."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Line:
    """One ratio. At most one of the two targets is set."""

    what: str
    measured: str
    ratio: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> str:
        """Return the target as text."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "–" if self.at_most is None else f"≤ {self.at_most:g}"

    @property
    def verdict(self) -> str:
        """Return whether the target is met. The printed, rounded ratio counts: further digits are noise."""
        if self.at_least is None and self.at_most is None:
            return "–"
        rounded = round(self.ratio, 2)
        met = rounded >= self.at_least if self.at_least is not None else rounded <= self.at_most
        return "met" if met else "MISSED"

    def print(self) -> None:
        """Print the line as a row."""
        _print_row(self.what, self.measured, f"{self.ratio:.2f}", self.target, self.verdict)


def measure(prog: str, description: str, groups: Mapping[str, Callable[[], Iterator[Line]]]) -> None:
    """Measure the groups that the command line names, or all. Prints each line when it is measured."""
    names = chosen(prog, description, groups)
    _print_row("what", "measured", "ratio", "target", "")
    _print_row(*(":---", ":---", "---:", "---:", ":---"))
    for name in names:
        for line in groups[name]():
            line.print()


def chosen(prog: str, description: str, groups: Mapping[str, object]) -> list[str]:
    """Return the groups that the command line names, or all, in the order of ``groups``."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"one of: {', '.join(groups)}")
    wanted = parser.parse_args().groups
    if unknown := set(wanted) - set(groups):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    return [name for name in groups if not wanted or name in wanted]


def _print_row(what: str, measured: str, ratio: str, target: str, verdict: str) -> None:
    # Markdown, so that README.md can contain these lines.
    print(f"| {what:<62} | {measured:<21} | {ratio:>5} | {target:>6} | {verdict:<6} |", flush=True)
