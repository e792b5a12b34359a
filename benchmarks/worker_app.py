"""The worker under test, with one task more: a no-op to compare with."""

from __future__ import annotations

from benchmarks.noop import NOOP
from cto_worker.app import app


@app.task(name=NOOP, ignore_result=True)
def noop(document) -> None:
    """Do nothing."""
