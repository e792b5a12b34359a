"""The worker, which runs CTO operations, and its Python client. Independent of HTTP.

``cto_worker.enqueue(document)`` starts an operation from Python; see :func:`cto_worker.client.enqueue`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Import ``enqueue`` on first use, so that an import of another module does not load Celery."""
    if name == "enqueue":
        return import_module("cto_worker.client").enqueue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
