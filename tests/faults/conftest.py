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
def build(make):
    """Build systems: ``build(**settings)``."""
    systems = []

    def build(**settings):
        systems.append(make(**settings))
        return systems[-1]

    yield build
    for system in systems:
        system.close()


@pytest.fixture
def system(build):
    return build()


@pytest.fixture
def swarm_of():
    """Make swarms of clients: ``swarm_of(port, host)``."""
    allow_descriptors(8_000)
    swarms = []

    def make(port, host="127.0.0.1"):
        swarms.append(Swarm(port, host))
        return swarms[-1]

    yield make
    for swarm in swarms:
        swarm.close()
