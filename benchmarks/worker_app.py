"""The worker under test, with an additional no-op task for comparison."""

from __future__ import annotations

from benchmarks.noop import NOOP
from cto_worker.app import app


@app.task(name=NOOP, ignore_result=True)
def noop(document) -> None:
    """Do nothing."""
