"""Runs CTO operations. Knows nothing of HTTP.

``cto_worker.enqueue(document)`` starts an operation from Python; see :func:`cto_worker.client.enqueue`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Give ``enqueue`` when it is asked for: whoever imports a part of this package need not load Celery."""
    if name == "enqueue":
        return import_module("cto_worker.client").enqueue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
