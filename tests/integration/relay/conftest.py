"""A running relay and its subscribers."""

from __future__ import annotations

import pytest
from support.relays import Inbox, running_relay


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def relay(store):
    with running_relay(store) as relay:
        yield relay
