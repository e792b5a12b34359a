"""``PYTHONPATH=tests python -m benchmarks.scale [name] …``: measure and draw all curves, or those named.

Writes a picture and its figures beside this file. Each curve takes two to four minutes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.scale import archive, curves, gateways, sockets, stored, workers
from benchmarks.table import chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.scale.curves import Study

HERE = Path(__file__).parent
STUDIES: dict[str, Callable[[], Study]] = {
    "workers": workers.study,
    "gateways": gateways.study,
    "sockets": sockets.study,
    "jobs": stored.study,
    "job": stored.memory_study,
    "archive": archive.study,
}


def main() -> None:
    """Run the named studies, or all."""
    for name in chosen("python -m benchmarks.scale", "Measure how cost grows.", STUDIES):
        study = STUDIES[name]()
        curves.print_table(study)
        (HERE / f"{name}.json").write_text(json.dumps(curves.figures(study), indent=1) + "\n")
        curves.draw(study, HERE / f"{name}.svg")


if __name__ == "__main__":
    main()
