"""The engine that ``CTO_ENGINE`` names.

A gateway must import this module first: the engine patches the standard library when it is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from cto_worker.config import Settings
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from api.engines import eventlet_engine, gevent_engine
    from api.engines.engine import Engine

    _ENGINES: tuple[Engine, ...] = (eventlet_engine, gevent_engine)  # the type checker compares them


def _name() -> str:
    try:
        return Settings.from_env().engine
    except ConfigError:  # the gateway reports it when it starts
        return Settings().engine


engine = cast("Engine", import_module(f"api.engines.{_name()}_engine"))
