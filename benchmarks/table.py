"""The table of ratios that the benchmarks print."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio. At most one of the two targets is set."""

    value: float
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
        rounded = round(self.value, 2)
        met = rounded >= self.at_least if self.at_least is not None else rounded <= self.at_most
        return "met" if met else "MISSED"


@dataclass(frozen=True, slots=True)
class Line:
    """A row with one ratio. At most one of the two targets is set."""

    what: str
    measured: str
    ratio: float
    at_least: float | None = None
    at_most: float | None = None

    columns: ClassVar[tuple[str, ...]] = ("ratio",)

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        """Return the ratio with its target."""
        return (Ratio(self.ratio, self.at_least, self.at_most),)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row of the gateway with its ratios to the stock servers: to that on Node, and to that on Bun."""

    what: str
    measured: str
    ratios: tuple[Ratio, Ratio]

    columns: ClassVar[tuple[str, ...]] = ("÷ Node", "÷ Bun")


Row = Line | Comparison


def measure(prog: str, description: str, groups: Mapping[str, Callable[[], Iterator[Row]]]) -> None:
    """Measure the groups that the command line names, or all. Prints each row when it is measured."""
    columns: tuple[str, ...] = ()
    for name in chosen(prog, description, groups):
        for row in groups[name]():
            if row.columns != columns:
                columns = row.columns
                _print_header(columns)
            _print(row.what, row.measured, [(f"{r.value:.2f}", r.target, r.verdict) for r in row.ratios])


def chosen(prog: str, description: str, groups: Mapping[str, object]) -> list[str]:
    """Return the groups that the command line names, or all, in the order of ``groups``."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"one of: {', '.join(groups)}")
    wanted = parser.parse_args().groups
    if unknown := set(wanted) - set(groups):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    return [name for name in groups if not wanted or name in wanted]


def _print_header(columns: Sequence[str]) -> None:
    print()
    _print("what", "measured", [(column, "target", "") for column in columns])
    _print(":---", ":---", [("---:", "---:", ":---")] * len(columns))


def _print(what: str, measured: str, ratios: Iterable[tuple[str, str, str]]) -> None:
    # Markdown, so that README.md can contain these lines.
    cells = " | ".join(f"{value:>6} | {target:>6} | {verdict:<6}" for value, target, verdict in ratios)
    print(f"| {what:<62} | {measured:<31} | {cells} |", flush=True)
