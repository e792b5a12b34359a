"""The engine of the gateway.

A gateway must import this module first: the engine patches the standard library when it is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.engines import eventlet_engine

if TYPE_CHECKING:
    from api.engines.engine import Engine

engine: Engine = eventlet_engine
