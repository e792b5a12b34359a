"""The table of ratios that every benchmark prints."""

from __future__ import annotations

from dataclasses import dataclass


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
        """The target in words."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "–" if self.at_most is None else f"≤ {self.at_most:g}"

    @property
    def verdict(self) -> str:
        """Whether it is met. The ratio counts as it is printed: what is behind that is noise."""
        if self.at_least is None and self.at_most is None:
            return "–"
        shown = round(self.ratio, 2)
        met = shown >= self.at_least if self.at_least is not None else shown <= self.at_most
        return "met" if met else "MISSED"

    def print(self) -> None:
        """Print it as a row."""
        _print_row(self.what, self.measured, f"{self.ratio:.2f}", self.target, self.verdict)


def print_head() -> None:
    """Print what stands above the lines."""
    _print_row("what", "measured", "ratio", "target", "")
    _print_row(*(":---", ":---", "---:", "---:", ":---"))


def _print_row(what: str, measured: str, ratio: str, target: str, verdict: str) -> None:
    # Markdown, so that README.md can hold the very lines.
    print(f"| {what:<62} | {measured:<21} | {ratio:>5} | {target:>6} | {verdict:<6} |", flush=True)
