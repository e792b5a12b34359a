"""Imports of a process: optional packages are skipped, so that it starts quickly.

Libraries import other packages if they are installed, for features that our processes do not use. They took
a quarter of a gateway's start. The packages are installed, because other programs need them:

* ``aiohttp``, ``requests``, ``websocket``: python-engineio's clients;
* ``tornado``: python-engineio's servers for Tornado;
* ``valkey``: python-socketio's message queues;
* ``opentelemetry.sdk``: redis-py's metrics;
* ``rich``: structlog's tracebacks in colour;
* ``yaml``: kombu's messages in YAML.

The module of a process imports this one first, and calls :func:`end_of_imports` after its last import. Later
imports find these packages. Garbage is not collected in between: there is none, and each collection visits
the objects of all modules.
"""

from __future__ import annotations

import gc
import sys

SKIPPED = ("aiohttp", "opentelemetry.sdk", "requests", "rich", "tornado", "valkey", "websocket", "yaml")

_hidden = [name for name in SKIPPED if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type] # None: as if it were not installed
gc.disable()


def end_of_imports() -> None:
    """Make the skipped packages importable again, and collect garbage, but not the objects that exist now."""
    while _hidden:
        del sys.modules[_hidden.pop()]
    gc.freeze()
    gc.enable()
