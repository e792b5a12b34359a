"""A study: quantities over a growing number, as a table and as a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from pathlib import Path

INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"
IDEAL = "ideal"  # the name of a series that is computed, not measured
COLORS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626")


@dataclass(frozen=True, slots=True)
class Panel:
    """The series of one vertical axis, by name. Each has a value for every size."""

    axis: str  # with its unit
    series: dict[str, list[float]]
    log: bool = False


@dataclass(frozen=True, slots=True)
class Study:
    """One growing number, and the measurements at each size."""

    title: str
    axis: str
    sizes: list[int]
    panels: list[Panel] = field(default_factory=list)
    log: bool = False


def print_table(study: Study) -> None:
    """Print the study as a Markdown table."""
    rows = [(panel.axis, name, values) for panel in study.panels for name, values in panel.series.items()]
    print(f"\n{study.title}\n")
    print(f"| {study.axis} | {' | '.join(f'{size:,}' for size in study.sizes)} |")
    print(f"| :--- | {' | '.join('---:' for _ in study.sizes)} |")
    for axis, name, values in rows:
        print(f"| {name}, {axis} | {' | '.join(_shown(value) for value in values)} |", flush=True)


def figures(study: Study) -> dict[str, Any]:
    """Return the numbers of the study, as JSON."""
    return {
        study.axis: study.sizes,
        **{
            f"{name}, {panel.axis}": [round(value, 4) for value in values]
            for panel in study.panels
            for name, values in panel.series.items()
        },
    }


def draw(study: Study, path: Path) -> None:
    """Draw the panels side by side."""
    mpl.rcParams |= {
        "svg.fonttype": "none",
        "svg.hashsalt": "cto",
        "font.family": "sans-serif",
        "font.size": 10,
    }
    names = max(len(panel.series) for panel in study.panels)
    size = (4.6 * len(study.panels), 3.4 + 0.2 * names)
    figure, axes = plt.subplots(1, len(study.panels), figsize=size, squeeze=False)
    with_legend: list[list[str]] = [["measured"]]  # a single measured series needs no legend
    for axis, panel in zip(axes[0], study.panels, strict=True):
        _draw_panel(axis, study, panel)
        if list(panel.series) not in with_legend:
            with_legend.append(list(panel.series))
            below = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.3), "borderaxespad": 0}
            axis.legend(frameon=False, labelcolor=INK, fontsize=9, **below)
    figure.suptitle(study.title, x=0.01, ha="left", color=INK, fontsize=12, fontweight="bold")
    figure.tight_layout(rect=(0, 0, 1, 0.96), w_pad=3)
    figure.savefig(path, metadata={"Date": None}, facecolor="white", bbox_inches="tight")
    plt.close(figure)


def _draw_panel(axis: Any, study: Study, panel: Panel) -> None:
    for color, (name, values) in zip(COLORS, panel.series.items(), strict=False):
        dashed = name == IDEAL
        axis.plot(
            study.sizes, values, color=MUTED if dashed else color, label=name, linewidth=1.2 if dashed else 2,
            linestyle=":" if dashed else "-", marker="" if dashed else "o", markersize=4.5,
        )  # fmt: skip
    if study.log:
        axis.set_xscale("log")
    axis.set_xticks(study.sizes)
    axis.set_xticks([], minor=True)
    if panel.log:
        axis.set_yscale("log")
        axis.set_yticks([], minor=True)
    else:
        axis.set_ylim(0, 1.1 * max(max(values) for values in panel.series.values()))
    axis.set_xlabel(study.axis, color=MUTED)
    axis.set_title(panel.axis, loc="left", color=MUTED, fontsize=10)
    axis.grid(axis="y", color=GRID)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(colors=MUTED, length=0)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
