"""The cost of several gateways behind one address of one machine."""

from __future__ import annotations

from statistics import median

from benchmarks.relay.several_gateways import bursts, dispatched
from benchmarks.scale.curves import Panel, Study

GATEWAYS = [1, 2, 4]


def study() -> Study:
    """Measure a burst to a thousand clients of 1 to 4 gateways."""
    rates, costs = zip(*(_burst(number) for number in GATEWAYS), strict=True)
    return Study(
        "Gateways",
        "gateways",
        GATEWAYS,
        [
            Panel("deliveries/s, all together", {"measured": list(rates)}),
            Panel("µs of CPU for a delivery, all together", {"measured": list(costs)}),
        ],
    )


def _burst(count: int) -> tuple[float, float]:
    with bursts(dispatched, count) as measured:
        rates, costs = zip(*measured.figures, strict=True)
        return median(rates), median(costs)
