"""A system for each test, process by process, and clients of it."""

from __future__ import annotations

import pytest
from support.swarm import Swarm
from support.system import SplitSystem

from api.server.connection_sources import allow_descriptors


@pytest.fixture
def make():
    """Return the class of the systems that ``build`` builds."""
    return SplitSystem


@pytest.fixture
def build(make, opened):
    """Build systems: ``build(**settings)``."""
    return lambda **settings: opened(make(**settings))


@pytest.fixture
def system(build):
    return build()


@pytest.fixture
def swarm_of(opened):
    """Make swarms of clients: ``swarm_of(port, host)``."""
    allow_descriptors(8_000)
    return lambda port, host="127.0.0.1": opened(Swarm(port, host))
