"""A system for each test, ended with it."""

from __future__ import annotations

import pytest

from api.server.listeners import allow_descriptors
from faults.clients import Swarm
from faults.parts import System

pytest.register_assert_rewrite("faults.criteria")  # so that it shows what it saw


@pytest.fixture
def make():
    """What makes a system of settings."""
    return System


@pytest.fixture
def build(make):
    """Build systems with settings of one's own."""
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
    """Make swarms of clients: ``swarm_of(port)``, or of a gateway on another address."""
    allow_descriptors(8_000)
    swarms = []

    def make(port, host="127.0.0.1"):
        swarms.append(Swarm(port, host))
        return swarms[-1]

    yield make
    for swarm in swarms:
        swarm.close()
