"""The worker, which runs CTO operations. Independent of HTTP.

It is an application, part of the distribution ``cto`` that a server installs. A bot, or any other client,
installs ``cto-client`` instead, and talks to the gateway. ``cto_worker.enqueue(document)`` starts a job
on a machine of the server; see :func:`cto_worker.jobs.enqueueing.enqueue`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Import ``enqueue`` on first use, so that an import of another module does not load Celery."""
    if name == "enqueue":
        return import_module("cto_worker.jobs.enqueueing").enqueue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
