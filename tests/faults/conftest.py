"""A system for each test, ended with it."""

from __future__ import annotations

import pytest

from faults.parts import System

pytest.register_assert_rewrite("faults.criteria")  # so that it shows what it saw


@pytest.fixture
def build():
    """Build systems with settings of one's own."""
    systems = []

    def build(**settings):
        systems.append(System(**settings))
        return systems[-1]

    yield build
    for system in systems:
        system.close()


@pytest.fixture
def system(build):
    return build()
